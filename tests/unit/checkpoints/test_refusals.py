"""What does not fit is refused in one screen: what was wrong, what was found, and the flags that would change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import RepdiagError
from repdiag.models.backbones import build_backbone
from tests.unit.checkpoints.families import State, resnet18, under, vit

Change = Callable[[State], object]


def _refusal(folder: Path, tree: Any, **read_options: Any) -> RepdiagError:
    torch.save(tree, folder / "file.pth")
    with pytest.raises(RepdiagError) as caught:
        load_encoder(folder / "file.pth", **read_options)
    assert len(str(caught.value).splitlines()) < 40
    return caught.value


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda state: state.pop("layer2.0.bn1.running_var"), "missing     layer2.0.bn1.running_var"),
        (lambda state: state.update({"layer1.0.se.weight": torch.ones(2)}), "unexpected  layer1.0.se.weight"),
        (lambda state: state.update({"layer2.0.conv1.weight": torch.ones(64, 128, 3, 3)}), "file (64, 128, 3, 3)"),
        (lambda state: state["layer1.0.bn1.weight"].fill_(float("nan")), "layer1.0.bn1.weight"),
        (lambda state: state["layer1.0.bn1.running_var"].fill_(-1.0), "layer1.0.bn1.running_var"),
    ],
)
def test_a_changed_file_names_what_changed(change: Change, found: str, tmp_path: Path) -> None:
    state = {name: value.clone() for name, value in resnet18().state_dict().items()}
    change(state)
    assert found in str(_refusal(tmp_path, state).found)


def test_another_branch_that_is_whole_is_shown(tmp_path: Path) -> None:
    state = under("module.encoder_q.", resnet18(1)) | under("module.encoder_k.", resnet18(2))
    state.pop("module.encoder_q.layer3.1.conv2.weight")
    hint = str(_refusal(tmp_path, {"state_dict": state}).hint)
    assert "incomplete" in hint
    assert "--branch key (fills 100%)" in hint


def test_images_of_other_channels_are_named(tmp_path: Path) -> None:
    state = resnet18().state_dict() | {"conv1.weight": torch.ones(64, 13, 7, 7)}
    torch.save(state, tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth")
    assert any("13 channels" in note for note in encoder.info.notes)
    assert encoder(torch.zeros(1, 13, 64, 64)).shape == (1, 512)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: [state.pop(name) for name in list(state) if name.startswith("blocks.0.")],
        lambda state: [state.pop(name) for name in list(state) if ".mlp." in name],
        lambda state: state.update({"pos_embed": torch.ones(1, 18, 192)}),
        lambda state: state.update({"patch_embed.proj.weight": torch.ones(192, 768)}),
    ],
)
def test_transformers_with_pieces_missing(change: Change, tmp_path: Path) -> None:
    state = dict(vit().state_dict())
    change(state)
    assert _refusal(tmp_path, state).hint


@pytest.mark.parametrize(
    ("read_options", "hint"),
    [({"heads": 5}, "divides"), ({"backbone": "resnet5o"}, "resnet50"), ({"prefix": "cnn."}, "--prefix"),
     ({"branch": "left"}, "known"), ({"backbone": "vgg11"}, "--backbone")],
)  # fmt: skip
def test_wishes_that_cannot_be(read_options: dict[str, Any], hint: str, tmp_path: Path) -> None:
    assert hint in str(_refusal(tmp_path, dict(vit().state_dict()), **read_options).hint)


@pytest.mark.parametrize("name", ["resnet20", "resnet56", "vit_tiny"])
def test_the_names_that_a_training_takes_are_names_here(name: str, tmp_path: Path) -> None:
    trained = build_backbone(name).eval()
    torch.save(trained.state_dict(), tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth", backbone=name)
    assert encoder.info.backbone == name
    side = encoder.info.image_size or 32
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), trained(images))


def test_an_unknown_architecture_has_the_nearest_name_of_all(tmp_path: Path) -> None:
    torch.save(build_backbone("resnet20").state_dict(), tmp_path / "file.pth")
    with pytest.raises(RepdiagError, match="resnet57") as caught:
        load_encoder(tmp_path / "file.pth", backbone="resnet57")
    assert "resnet56" in str(caught.value.hint)
