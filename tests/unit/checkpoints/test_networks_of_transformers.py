"""Networks that only Hugging Face transformers has are its own class's, filled with tensors that were read here."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

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
    state["backbone.embeddings.detection_tokens"] = torch.zeros(1, 5, 192)
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError) as caught:
        load_encoder(tmp_path / "file.pth")
    assert "config.json next to the file" in str(caught.value.hint)
