"""Every family is recognised without a flag, and each of its branches computes what the original module computes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from repdiag.checkpoints.load import load_encoder
from tests.unit.checkpoints.families import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_those_of_the_original(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]()
    path = tmp_path / "file.pth"
    torch.save(family.tree, path)
    for file, content in family.sidecars.items():
        (tmp_path / file).write_text(json.dumps(content))
    images = torch.randn(2, 3, family.image_size, family.image_size, generator=torch.Generator().manual_seed(0))
    for index, (branch, module) in enumerate(family.branches.items()):
        encoder = load_encoder(path, branch=None if index == 0 else branch)
        assert encoder.info.family == family.name
        assert encoder.info.branch == branch
        assert encoder.info.match == 1.0
        wanted = module(images)
        assert torch.allclose(encoder(images), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
