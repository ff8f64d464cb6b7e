"""Methods on a network of a few hundred weights."""

from pathlib import Path

import pytest
import torch

from repdiag.config.training import TrainSettings
from repdiag.methods.base import Clock, TrainBatch
from repdiag.methods.build import build_method

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny_backbone.py"
BACKBONE = {"name": f"{TINY}:build", "stem": "cifar"}


@pytest.fixture
def make():
    """Build a method from its settings, in training mode."""

    def build(seed=0, *, teacher=None, projector=None, **method):
        torch.manual_seed(seed)
        settings = TrainSettings(
            backbone=BACKBONE, method=method, projector={"out_dim": 4} | (projector or {}), data={"image_size": 16}
        )
        return build_method(settings, classes=3, teacher=teacher).train()

    return build


@pytest.fixture
def batch():
    """Two global views of 16 px and two local ones of 8 px of six images."""
    source = torch.Generator().manual_seed(1)
    sizes = (16, 16, 8, 8)
    views = tuple(torch.randn(6, 3, size, size, generator=source) for size in sizes)
    return TrainBatch(views, torch.tensor([0, 1, 2, 0, 1, 2]))


@pytest.fixture
def clock():
    return Clock(step=0, total_steps=20, steps_per_epoch=5)
