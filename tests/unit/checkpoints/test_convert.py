"""Our safe form gives the same encoder back, and knows when it was changed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from repdiag.checkpoints.fitting.resolve import ReadOptions
from repdiag.checkpoints.inspect import inspect_checkpoint
from repdiag.checkpoints.load import convert_checkpoint, load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import FAMILIES
from tests.unit.checkpoints.families_with_heads import FAMILIES_WITH_HEADS


@pytest.mark.parametrize(
    ("name", "branch"), [("dino", "student"), ("simclr-v2", None), ("solo-learn-cifar", None), ("moco", "key")]
)
def test_a_converted_file_is_the_same_encoder(name: str, branch: str | None, tmp_path: Path) -> None:
    family = FAMILIES[name]()
    torch.save(family.tree, tmp_path / "source.pth")
    convert_checkpoint(tmp_path / "source.pth", tmp_path / "out.safetensors", ReadOptions(branch=branch))
    source = load_encoder(tmp_path / "source.pth", branch=branch)
    back = load_encoder(tmp_path / "out.safetensors")
    images = torch.randn(2, 3, family.image_size, family.image_size)
    assert torch.equal(back(images), source(images))
    assert (back.info.family, back.info.branch, back.info.mean) == (family.name, source.info.branch, source.info.mean)
    assert (back.projector is None) == (source.projector is None)


@pytest.mark.parametrize("name", ["solo-learn-dino", "vissl-dino"])
def test_a_converted_head_is_the_same_head(name: str, tmp_path: Path) -> None:
    family, _ = FAMILIES_WITH_HEADS[name]()
    torch.save(family.tree, tmp_path / "source.pth")
    convert_checkpoint(tmp_path / "source.pth", tmp_path / "out.safetensors")
    source, back = (load_encoder(tmp_path / file) for file in ("source.pth", "out.safetensors"))
    features = torch.randn(2, source.info.feature_dim)
    wanted, found = source.project(features), back.project(features)
    assert wanted is not None
    assert found is not None
    assert torch.equal(found, wanted)


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    torch.save(FAMILIES["solo-learn-cifar"]().tree, tmp_path / "source.pth")
    convert_checkpoint(tmp_path / "source.pth", tmp_path / "out.safetensors")
    data = bytearray((tmp_path / "out.safetensors").read_bytes())
    rng = random.Random(0)
    for _ in range(5):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        data[at] ^= bit
        (tmp_path / "flipped.safetensors").write_bytes(data)
        data[at] ^= bit
        with pytest.raises(CheckpointError):
            load_encoder(tmp_path / "flipped.safetensors")


def test_inspection_accounts_for_every_tensor(tmp_path: Path) -> None:
    tree = FAMILIES["solo-learn-cifar"]().tree
    torch.save(tree, tmp_path / "x.ckpt")
    found = inspect_checkpoint(tmp_path / "x.ckpt")
    assert sum(found.tensors.values()) == len(tree["state_dict"])
    assert "unknown" not in found.tensors
    assert found.branches == ("online", "momentum")
    assert found.projection_head == "512 -> 64 -> 32"


def test_inspection_of_an_unknown_network_says_what_to_do(tmp_path: Path) -> None:
    torch.save({"state_dict": {"mystery.weight": torch.ones(3, 3)}}, tmp_path / "x.pt")
    found = inspect_checkpoint(tmp_path / "x.pt")
    assert found.encoder is None
    assert found.problem is not None
    assert "--backbone" in str(found.problem["hint"])


def test_a_missing_layer_is_a_refusal_with_its_name(tmp_path: Path) -> None:
    tree = FAMILIES["plain"]().tree
    del tree["state_dict"]["layer3.0.bn1.running_mean"]
    torch.save(tree, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"layer3\.0\.bn1\.running_mean"):
        load_encoder(tmp_path / "x.pt")
