"""Settings with which every recipe trains for a few steps in a fraction of a second."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from repdiag.core.errors import StoppedError
from repdiag.training.step import Stepper

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny_backbone.py"
TRANSFORMER = TINY.with_name("tiny_transformer.py")

RUN = ["data.limit=80", "schedule.epochs=3", "schedule.warmup_epochs=1", "loop.batch_size=16"]
MULTI_CROP = ["views.local_views=2"]
DINO = ["method.outputs=9", "method.hidden_dim=8", "method.bottleneck_dim=4", *MULTI_CROP]
SWAV = [
    "projector.hidden_dim=8",
    "method.prototypes=6",
    "method.queue_size=32",
    "method.queue_from_epoch=1",
    *MULTI_CROP,
]
VIT = [*DINO, "data.image_size=32", "views.local_size=10"]
SMALL = {
    "digits_moco_v2": ["method.queue_size=32"],
    "moco_v2": ["method.queue_size=32"],
    "simclr": [],
    "supervised": [],
    "seed": ["projector.out_dim=4", "method.queue_size=32"],
    "shi2022_small": ["method.queue_size=32"],
    "seed_small_patches": ["projector.out_dim=4", "method.queue_size=64", *MULTI_CROP],
    "sslight_moco": ["projector.hidden_dim=8", "method.queue_size=32", *MULTI_CROP],
    "sslight_swav": SWAV,
    "swav": SWAV,
    "sslight_dino": DINO,
    "dino": DINO,
    "sslight_dino_vit": VIT,
    "dino_vit": VIT,
    "moco_multi_crop": ["projector.hidden_dim=8", "method.queue_size=32", *MULTI_CROP],
}


def backbone_of(recipe: str) -> str:
    """Return the network that the recipe trains, as code of the user's."""
    return f"{TRANSFORMER if recipe.endswith('vit') else TINY}:build"


def teacher_of(recipe: str) -> nn.Module | None:
    """Return what SEED's recipes distil."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 4))
    return network if recipe.startswith("seed") else None


@contextmanager
def stopped_in_step(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Send this process a SIGTERM as its `number`-th step begins."""
    take, count = Stepper.take, iter(range(1, 1000))

    def wrapped(self, batch, clock):
        if next(count) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self, batch, clock)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "take", wrapped)
        with pytest.raises(StoppedError):
            yield
