"""What folders of Hugging Face record about images, towers and networks of other projects, folders of several files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from repdiag.checkpoints.architectures.vit_pytorch import vit_pytorch_candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import State, perturbed, resnet18
from tests.unit.checkpoints.test_other_names import NETWORKS, gap, images


def folder_of(path: Path, state: State, **files: Any) -> Path:
    torch.save(state, path / "pytorch_model.bin")
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("processor", "wanted"),
    [
        ({"size": {"height": 64, "width": 64}}, (64, None, True)),
        ({"size": {"height": 80, "width": 80}, "do_center_crop": True, "crop_size": 64}, (64, 80, True)),
        (
            {"size": {"shortest_edge": 80}, "do_center_crop": True, "crop_size": {"height": 64, "width": 64}},
            (64, 80, False),
        ),
        (
            {"size": {"shortest_edge": 64}, "crop_pct": 0.8, "image_processor_type": "ConvNextImageProcessor"},
            (64, 80, False),
        ),
        ({"size": 64, "feature_extractor_type": "ViTFeatureExtractor"}, (64, None, True)),
    ],
)
def test_the_framing_of_processors(processor: dict[str, Any], wanted: tuple[Any, ...], tmp_path: Path) -> None:
    _, state = NETWORKS["vit"]()
    config = {"model_type": "vit", "num_attention_heads": 3}
    pixels = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
    info = load_encoder(folder_of(tmp_path, state, config=config, preprocessor_config={**pixels, **processor})).info
    assert (info.image_size, info.resize, info.squash) == wanted
    assert (info.mean, info.interpolation) == ((0.5, 0.5, 0.5), "bicubic")


def test_normalisation_that_is_off_or_missing(tmp_path: Path) -> None:
    _, state = NETWORKS["vit"]()
    config = {"model_type": "vit", "num_attention_heads": 3, "image_size": 64}
    missing = load_encoder(folder_of(tmp_path, state, config=config)).info
    assert (missing.mean, missing.squash) == ((0.5, 0.5, 0.5), True)
    assert any("--mean" in note for note in missing.notes)
    off = {"do_normalize": False, "size": {"height": 64, "width": 64}}
    info = load_encoder(folder_of(tmp_path, state, config=config, preprocessor_config=off)).info
    assert (info.mean, info.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_an_activation_that_nothing_here_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    _, state = NETWORKS["vit"]()
    config = {"model_type": "vit", "num_attention_heads": 3, "hidden_act": "mish"}
    with pytest.raises(CheckpointError, match="records settings that no known network has") as caught:
        load_encoder(folder_of(tmp_path, state, config=config))
    assert "hidden_act mish" in str(caught.value.found)


def test_a_timm_tower_of_openclip_is_projected(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = perturbed(timm.create_model("convnext_atto", num_classes=0), 0)
    head = torch.randn(16, 320)
    state = {f"visual.trunk.{name}": value for name, value in trunk.state_dict().items()}
    torch.save(
        {"state_dict": state | {"visual.head.proj.weight": head, "logit_scale": torch.ones(())}}, tmp_path / "x.pt"
    )
    assert gap(load_encoder(tmp_path / "x.pt")(images()), trunk(images()) @ head.T) < 1e-5


def test_vit_pytorch_written_out(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "cls_token": (1, 1, 64),
        "pos_embedding": (1, 17, 64),
        "to_patch_embedding.2.weight": (64, 768),
        "transformer.layers.0.0.to_qkv.weight": (384, 64),
        "transformer.layers.0.0.to_out.0.weight": (64, 128),
        "transformer.layers.0.1.net.1.weight": (96, 64),
        "transformer.layers.0.1.net.4.weight": (64, 96),
    }
    biases = {
        "to_patch_embedding.2": 64,
        "transformer.layers.0.0.to_out.0": 64,
        "transformer.layers.0.1.net.1": 96,
        "transformer.layers.0.1.net.4": 64,
    }
    norms = {
        "to_patch_embedding.1": 768,
        "to_patch_embedding.3": 64,
        "transformer.norm": 64,
        "transformer.layers.0.0.norm": 64,
        "transformer.layers.0.1.net.0": 64,
    }
    state = {name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()}
    for name, width in {**biases, **norms}.items():
        state[f"{name}.bias"] = torch.randn(width, generator=generator)
    state |= {f"{name}.weight": torch.rand(width, generator=generator) + 0.5 for name, width in norms.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", torch.zeros(()))

    x = images().unfold(2, 16, 16).unfold(3, 16, 16)  # [B, 3, rows, columns, 16, 16]
    x = x.permute(0, 2, 3, 4, 5, 1).reshape(2, 16, 768)
    x = norm(linear(norm(x, "to_patch_embedding.1"), "to_patch_embedding.2"), "to_patch_embedding.3")
    x = torch.cat([state["cls_token"].expand(2, -1, -1), x], dim=1) + state["pos_embedding"]
    inner = linear(norm(x, "transformer.layers.0.0.norm"), "transformer.layers.0.0.to_qkv").chunk(3, dim=-1)
    query, key, value = (part.reshape(2, 17, 2, 64).transpose(1, 2) for part in inner)
    mixed = ((query @ key.transpose(-1, -2)) / 8).softmax(-1) @ value
    x = x + linear(mixed.transpose(1, 2).reshape(2, 17, 128), "transformer.layers.0.0.to_out.0")
    hidden = F.gelu(linear(norm(x, "transformer.layers.0.1.net.0"), "transformer.layers.0.1.net.1"))
    x = norm(x + linear(hidden, "transformer.layers.0.1.net.4"), "transformer.norm")
    torch.save(state, tmp_path / "x.pt")
    encoder = load_encoder(tmp_path / "x.pt")
    assert encoder.info.image_size == 64
    assert gap(encoder(images()), x[:, 0]) < 1e-5
    assert gap(load_encoder(tmp_path / "x.pt", pool="mean")(images()), x.mean(1)) < 1e-5
    assert vit_pytorch_candidates({**state, "transformer.layers.0.0.to_qkv.weight": torch.ones(100, 64)}, Facts()) == []


def test_a_small_images_vgg_ends_at_its_last_map(tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(0)
    network: Any = perturbed(torchvision.models.vgg11_bn(), 0)
    state = {f"module.{name}": value for name, value in network.state_dict().items() if name.startswith("features.")}
    torch.save({"net": state | {"module.classifier.weight": torch.zeros(10, 512)}}, tmp_path / "x.pt")
    encoder = load_encoder(tmp_path / "x.pt")
    assert encoder.info.image_size == 32
    assert gap(encoder(images(32)), network.features(images(32)).flatten(1)) < 1e-5


def test_folders_of_other_programs(tmp_path: Path) -> None:
    inner = tmp_path / "lightning_logs" / "version_0" / "checkpoints"
    inner.mkdir(parents=True)
    network = resnet18()
    torch.save({"state_dict": dict(network.state_dict())}, inner / "epoch=1.ckpt")
    assert gap(load_encoder(tmp_path)(images()), network(images())) < 1e-5
    torch.save({}, inner / "last.ckpt")
    with pytest.raises(CheckpointError, match="holds 2 checkpoints") as caught:
        load_encoder(tmp_path)
    assert "epoch=1.ckpt" in str(caught.value.found)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="adapter"):
        load_encoder(tmp_path)
