"""Every method keeps all of its state in the checkpoint: interrupted in the middle, it ends with the same bits."""

import os
import signal
from pathlib import Path

import pytest
import torch

from repdiag.checkpoints.native import read_native
from repdiag.training.assembly import resolve_settings
from repdiag.training.loop import train
from repdiag.training.step import Stepper

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny_backbone.py"

RUN = ["data.limit=80", "schedule.epochs=3", "schedule.warmup_epochs=1", "loop.batch_size=16"]
SMALL = {
    "simclr": [],
    "supervised": [],
    "seed": ["projector.out_dim=4", "method.queue_size=32"],
    "shi2022_small": ["method.queue_size=32"],
    "sslight_moco": ["projector.hidden_dim=8", "method.queue_size=32", "views.local_views=2"],
    "sslight_swav": [
        "projector.hidden_dim=8",
        "method.prototypes=6",
        "method.queue_size=32",
        "method.queue_from_epoch=1",
        "views.local_views=2",
    ],
    "sslight_dino": ["method.outputs=9", "method.hidden_dim=8", "method.bottleneck_dim=4", "views.local_views=2"],
}


@pytest.mark.parametrize("recipe", SMALL)
def test_interrupted_and_resumed(recipe, tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 4))
    teacher = network if recipe == "seed" else None
    overrides = [f"backbone.name={TINY}:build", *RUN, *SMALL[recipe]]
    settings = resolve_settings(recipe, data="digits", overrides=overrides)
    whole = train(settings, tmp_path / "whole", device="cpu", teacher=teacher)
    take, count = Stepper.take, iter(range(1, 1000))

    def wrapped(self, batch, clock):
        if next(count) == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self, batch, clock)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "take", wrapped)
        train(settings, tmp_path / "run", device="cpu", teacher=teacher)
    assert read_native(tmp_path / "run" / "checkpoints" / "last.pt")["digest"] != read_native(whole)["digest"]
    last = train(settings, tmp_path / "run", device="cpu", teacher=teacher)
    assert read_native(last)["digest"] == read_native(whole)["digest"]
