"""Means and standard deviations of families are those of their authors' code, digit by digit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from repdiag.checkpoints.formats import normalizations
from repdiag.checkpoints.load import load_encoder

# From the transforms of each repository: facebookresearch/swav src/multicropdataset.py has 0.228 where ImageNet's own
# deviation is 0.229; openai/CLIP clip/clip.py; kuangliu/pytorch-cifar and solo-learn; SupContrast main_linear.py.
PUBLISHED = {
    "SWAV": ((0.485, 0.456, 0.406), (0.228, 0.224, 0.225)),
    "OPENAI": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "CIFAR10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "CIFAR10_SOLO": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
    "STL10": ((0.4914, 0.4823, 0.4466), (0.247, 0.243, 0.261)),
    "CIFAR100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_numbers_are_the_published_ones(name: str) -> None:
    found = getattr(normalizations, name)
    assert (found.mean, found.std) == PUBLISHED[name]


def test_an_encoder_of_swav_divides_red_by_its_own_deviation(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in torchvision.models.resnet18().state_dict().items()}
    state = {name: value for name, value in state.items() if ".fc." not in name}
    state |= {"module.projection_head.weight": torch.zeros(16, 512), "module.prototypes.weight": torch.zeros(4, 16)}
    torch.save(state, tmp_path / "swav.pth.tar")
    info = load_encoder(tmp_path / "swav.pth.tar").info
    assert info.family == "swav"
    assert (info.mean, info.std) == PUBLISHED["SWAV"]
