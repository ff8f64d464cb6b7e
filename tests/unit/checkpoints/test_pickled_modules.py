"""Modules that somebody pickled whole are read for their tensors, without a line of their code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import vit

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class Sentinel(nn.Module):
    """A layer whose code says when it runs."""

    ran = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).ran = True
        super().__setstate__(state)


def optimizer_of(network: nn.Module) -> dict[str, Any]:
    optimizer = torch.optim.Adam(network.parameters())
    for value in network.parameters():
        optimizer.state[value] = {"step": torch.tensor(1.0), "exp_avg": torch.zeros_like(value)}
    return optimizer.state_dict()


@pytest.mark.parametrize("layout", ["whole", "data parallel", "beside its optimizer"])
def test_the_tensors_of_a_module_are_its_state_dict(layout: str, tmp_path: Path) -> None:
    network = vit()
    network.add_module("probe", Sentinel())
    trees: dict[str, Any] = {
        "whole": network,
        "data parallel": nn.DataParallel(network),
        "beside its optimizer": {"epoch": 3, "model": network, "ema": None, "optimizer": optimizer_of(network)},
    }
    torch.save(trees[layout], tmp_path / "model.pt")
    encoder = load_encoder(tmp_path / "model.pt")
    assert torch.equal(encoder(IMAGES), network(IMAGES))
    assert not Sentinel.ran
    assert any("VisionTransformer" in note and "no code" in note for note in encoder.info.notes) or layout[0] == "d"


def test_a_module_beside_a_state_dict_is_left(tmp_path: Path) -> None:
    torch.save({"model": vit().state_dict(), "net": vit(1)}, tmp_path / "file.pt")
    encoder = load_encoder(tmp_path / "file.pt")
    assert torch.equal(encoder(IMAGES), vit()(IMAGES))
    assert not any("pickled" in note for note in encoder.info.notes)


def test_buffers_that_are_not_kept_are_no_tensors_of_the_file(tmp_path: Path) -> None:
    network = vit()
    network.register_buffer("mask", torch.zeros(3), persistent=False)
    network.register_buffer("other", torch.zeros(3))
    torch.save(network, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="100%") as caught:
        load_encoder(tmp_path / "model.pt")
    assert "unexpected  other" in str(caught.value.found)
    assert "mask" not in str(caught.value.found)


def test_other_objects_are_named_by_their_classes(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "config": Path("x")}, tmp_path / "file.pt")
    with pytest.raises(CheckpointError) as caught:
        load_encoder(tmp_path / "file.pt")
    assert "objects of pathlib" in str(caught.value.found)


def test_versions_and_activations_beside_weights_are_no_attack(tmp_path: Path) -> None:
    beside = {"version": torch.__version__, "rest": ..., "act": nn.functional.gelu}
    torch.save({"model": vit().state_dict(), **beside}, tmp_path / "file.pt")
    assert torch.equal(load_encoder(tmp_path / "file.pt")(IMAGES), vit()(IMAGES))
