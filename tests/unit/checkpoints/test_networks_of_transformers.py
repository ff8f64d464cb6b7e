"""Networks that only Hugging Face transformers has are its own class's, filled with tensors that were read here."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repdiag.checkpoints.formats.hugging_face_shapes import kinds_of, settings_of
from repdiag.checkpoints.load import convert_checkpoint, load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import perturbed, vit

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
CONFIG: dict[str, Any] = {
    **{"model_type": "regnet", "architectures": ["RegNetModel"], "layer_type": "x", "hidden_act": "relu"},
    **{"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "groups_width": 8},
}
PROCESSOR = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 64}, "crop_pct": 0.875}


def library() -> Any:
    return pytest.importorskip("transformers", reason="the optional extra `transformers` is not installed")


@pytest.fixture(scope="module")
def regnet() -> nn.Module:
    kinds = library()
    torch.manual_seed(0)
    given = {name: value for name, value in CONFIG.items() if name not in ("model_type", "architectures")}
    return perturbed(kinds.RegNetModel(kinds.RegNetConfig(**given)), 0)


def folder(state: dict[str, Tensor], tmp_path: Path, **config: Any) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    torch.save(state, tmp_path / "pytorch_model.bin")
    return tmp_path


def same(found: Tensor, regnet: nn.Module) -> bool:
    wanted = regnet(pixel_values=IMAGES).pooler_output.flatten(1)
    return found.shape == wanted.shape and bool((found - wanted).abs().max() <= 1e-5 * wanted.abs().max())


def test_a_folder_and_its_converted_file_compute_what_the_class_does(regnet: nn.Module, tmp_path: Path) -> None:
    path = folder(regnet.state_dict(), tmp_path, auto_map={"AutoModel": "evil.Model"}, trust_remote_code=True)
    encoder = load_encoder(path)
    assert encoder.info.backbone == "transformers:RegNetModel"
    assert same(encoder(IMAGES), regnet)
    convert_checkpoint(path, tmp_path / "own" / "file.safetensors")
    again = load_encoder(tmp_path / "own" / "file.safetensors")
    assert torch.equal(again(IMAGES), encoder(IMAGES))
    assert (again.info.mean, again.info.image_size) == (encoder.info.mean, encoder.info.image_size)


def test_a_config_beside_a_users_own_file_is_enough(regnet: nn.Module, tmp_path: Path) -> None:
    state = {f"net.backbone.{name}": value for name, value in regnet.state_dict().items()}
    folder({"state_dict": state | {"net.fc.weight": torch.zeros(3, 16)}}, tmp_path)
    assert same(load_encoder(tmp_path / "pytorch_model.bin")(IMAGES), regnet)


def test_without_the_library_the_way_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: find(name, *rest) if name != "transformers" else None
    )
    state = {f"embedder.embedder.convolution.{name}": torch.zeros(8, 3, 3, 3) for name in ("weight", "other")}
    with pytest.raises(CheckpointError) as caught:
        load_encoder(folder(state, tmp_path))
    assert "pip install 'repdiag[transformers]'" in str(caught.value.hint)


def test_names_of_transformers_without_a_config_ask_for_it(tmp_path: Path) -> None:
    state = {
        f"backbone.{name}".replace("blocks.", "encoder.layer."): value for name, value in vit().state_dict().items()
    }
    state["backbone.embeddings.odd_tokens"] = torch.zeros(1, 5, 192)
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError) as caught:
        load_encoder(tmp_path / "file.pth")
    assert "config.json next to the file" in str(caught.value.hint)


def test_without_a_config_the_sizes_are_read_from_shapes(regnet: nn.Module, tmp_path: Path) -> None:
    state = {f"net.{name}": value for name, value in regnet.state_dict().items()}
    torch.save(
        {"state_dict": state | {"head.weight": torch.zeros(3, 16), "odd.weight": torch.zeros(3)}},
        tmp_path / "file.ckpt",
    )
    encoder = load_encoder(tmp_path / "file.ckpt")
    assert encoder.info.backbone == "transformers:RegNetModel"
    assert same(encoder(IMAGES), regnet)
    assert any("1 tensors were not understood and not used, from odd.weight" in note for note in encoder.info.notes)
    (note,) = [note for note in encoder.info.notes if note.startswith("assumed")]
    assert "activation relu (--activation)" in note
    told = load_encoder(tmp_path / "file.ckpt", activation="silu")
    assert not torch.allclose(told(IMAGES), encoder(IMAGES))
    assert "activation" not in " ".join(note for note in told.info.notes if note.startswith("assumed"))
    convert_checkpoint(tmp_path / "file.ckpt", tmp_path / "own" / "file.safetensors")
    assert torch.equal(load_encoder(tmp_path / "own" / "file.safetensors")(IMAGES), encoder(IMAGES))


def test_without_config_and_library_the_way_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: find(name, *rest) if name != "transformers" else None
    )
    names = ("embedder.embedder.convolution.weight", "encoder.stages.0.layers.0.layer.0.convolution.weight")
    torch.save({name: torch.zeros(8, 3, 3, 3) for name in names}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError) as caught:
        load_encoder(tmp_path / "file.pth")
    assert "pip install 'repdiag[transformers]'" in str(caught.value.hint)


SHAPES: dict[str, tuple[dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "hiera": (
        {
            "embeddings.position_embeddings": (1, 3136, 96),
            "embeddings.patch_embeddings.projection.weight": (96, 3, 7, 7),
            "encoder.stages.0.layers.0.attn.proj.weight": (96, 96),
            "encoder.stages.0.layers.0.attn.qkv.weight": (288, 96),
            "encoder.stages.0.layers.0.mlp.fc1.weight": (384, 96),
            "encoder.stages.1.layers.0.attn.proj.weight": (192, 192),
            "encoder.stages.1.layers.1.attn.proj.weight": (192, 192),
        },
        {"embed_dim": 96, "image_size": [224, 224], "depths": [1, 2], "num_heads": [1, 2], "mlp_ratio": 4.0},
    ),
    "pvt": (
        {
            "encoder.patch_embeddings.0.position_embeddings": (1, 3136, 64),
            "encoder.patch_embeddings.0.projection.weight": (64, 3, 4, 4),
            "encoder.patch_embeddings.1.projection.weight": (128, 64, 2, 2),
            "encoder.block.0.0.attention.self.sequence_reduction.weight": (64, 64, 8, 8),
            "encoder.block.0.0.mlp.dense1.weight": (512, 64),
            "encoder.block.0.1.mlp.dense1.weight": (512, 64),
            "encoder.block.1.0.mlp.dense1.weight": (512, 128),
        },
        {
            **{"hidden_sizes": [64, 128], "depths": [2, 1], "mlp_ratios": [8, 4], "num_attention_heads": [1, 2]},
            **{"sequence_reduction_ratios": [8, 1], "image_size": 224},
        },
    ),
    "efficientnet": (
        {
            "embeddings.convolution.weight": (32, 3, 3, 3),
            "encoder.top_bn.weight": (1280,),
            **{f"encoder.blocks.{at}.depthwise_conv.depthwise_conv.weight": (32, 1, 3, 3) for at in range(23)},
        },
        {"width_coefficient": 1.0, "depth_coefficient": 1.1, "image_size": 240},  # B1 by its paper
    ),
    "mobilenet_v2": (
        {"conv_stem.first_conv.convolution.weight": (16, 3, 3, 3)},
        {"depth_multiplier": 0.5},
    ),
    "yolos": (
        {
            "embeddings.cls_token": (1, 1, 192),
            "embeddings.detection_tokens": (1, 100, 192),
            "embeddings.position_embeddings": (1, 297, 192),
            "embeddings.patch_embeddings.projection.weight": (192, 3, 16, 16),
            "encoder.layer.0.intermediate.dense.weight": (768, 192),
            "encoder.layer.1.attention.attention.query.bias": (192,),
        },
        {
            **{"hidden_size": 192, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": [224, 224]},
            **{"num_detection_tokens": 100, "qkv_bias": True, "use_mid_position_embeddings": False},
        },
    ),
}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("owner", ["", "model.backbone."])
def test_settings_follow_from_shapes(kind: str, owner: str) -> None:
    shapes, wanted = SHAPES[kind]
    owned = {owner + name: torch.Size(shape) for name, shape in shapes.items()}
    assert kinds_of(owned) == [kind]
    found = settings_of(kind, owned)
    assert {name: found[name] for name in wanted} == wanted
