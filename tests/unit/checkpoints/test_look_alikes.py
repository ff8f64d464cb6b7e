"""Networks whose tensors are a plain network's, or nearly, and whose output is not: recognised, or asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from repdiag.checkpoints.fitting.infer_arch import candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.load import load_encoder
from tests.unit.checkpoints.families import perturbed

IMAGES = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def network(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return perturbed(timm.create_model(name, **options), 0)


def features(model: Any, images: Tensor) -> Tensor:
    found: Tensor = model.forward_head(model.forward_features(images), pre_logits=True)
    return found


def gap(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("name", ["seresnet18", "resnet10t", "legacy_seresnet18"])
def test_a_network_that_is_almost_plain_is_found_by_its_tensors(name: str, tmp_path: Path) -> None:
    model = network(name)
    torch.save({"state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}, tmp_path / "x.pt")
    encoder = load_encoder(tmp_path / "x.pt")
    assert encoder.info.backbone == f"timm:{name}"
    assert gap(encoder(IMAGES), features(model, IMAGES)) < 1e-5


def test_a_blurred_resnet_is_told_from_a_plain_one_by_name_alone(tmp_path: Path) -> None:
    model = network("resnetblur18")
    wanted = features(model, IMAGES)
    contents = {
        "resnetblur18_a1.pth": model.state_dict(),
        "recorded.pth": {"arch": "resnetblur18", "state_dict": model.state_dict()},
        "last.pth": model.state_dict(),
    }
    for file, content in contents.items():
        torch.save(content, tmp_path / file)
    for file in ("resnetblur18_a1.pth", "recorded.pth"):
        assert gap(load_encoder(tmp_path / file)(IMAGES), wanted) < 1e-5
    assumed = load_encoder(tmp_path / "last.pth")
    assert gap(assumed(IMAGES), wanted) > 1e-2
    assert any("--backbone" in note and "timm:resnetblur18" in note for note in assumed.info.notes)
    assert gap(load_encoder(tmp_path / "last.pth", backbone="resnetblur18")(IMAGES), wanted) < 1e-5


def test_rotary_positions_beside_learned_ones_are_seen(tmp_path: Path) -> None:
    model = network("vit_pe_spatial_tiny_patch16_512")
    torch.save(model.state_dict(), tmp_path / "x.pt")
    images = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    assert gap(load_encoder(tmp_path / "x.pt")(images), features(model, images)) < 1e-5


def names(state: dict[str, Tensor], **options: Any) -> list[list[str]]:
    found = candidates(state, Facts(), **options)
    return [[candidate.name.rpartition(":")[2] for candidate in options] for options in found]


def test_two_networks_of_one_shape_are_both_offered() -> None:
    with torch.device("meta"):
        state = timm.create_model("vit_base_patch32_clip_224").state_dict()
    plain, quick = "vit_base_patch32", "vit_base_patch32_clip_quickgelu_224"
    assert names(state, library="last.pth")[0] == [plain, quick]
    assert names(state, library=f"{quick}.openai.pth")[0] == [quick]
    assert names(state, library="vit_base_patch32_clip_224.laion2b.pth")[0] == [plain]
    assert names(state)[0] == [plain]
    assert names(state, library="last.pth", recorded=quick)[0] == [quick]
    assert names(state, library="last.pth", recorded=plain)[0] == [plain]


def test_position_embeddings_of_another_size_hide_nothing() -> None:
    with torch.device("meta"):
        state = timm.create_model("vit_pe_spatial_tiny_patch16_512").state_dict()
        state["pos_embed"] = torch.empty(1, state["pos_embed"].shape[1] - 32 * 32 + 14 * 14, 192)
    assert names(state, library="last.pth")[0] == ["vit_pe_spatial_tiny_patch16_512"]


def test_clips_transformers_have_clips_epsilon() -> None:
    with torch.device("meta"):
        state = timm.create_model("vit_xsmall_patch16_clip_224").state_dict()
        built: Any = next(candidates(state, Facts()))[0].build()
    assert built.norm.eps == built.blocks[0].norm1.eps == 1e-5
