"""A run that takes a fraction of a second."""

from pathlib import Path

import pytest
import torch

from repdiag.training.assembly import resolve_settings

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny_backbone.py"
OVERRIDES = [
    f"backbone.name={TINY}:build",
    "method.queue_size=32",
    "data.limit=80",
    "schedule.epochs=3",
    "loop.batch_size=16",
    "loop.log_every=2",
    "loop.save_every_steps=2",
    "loop.save_every_seconds=null",
]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny():
    """Settings with further overrides."""
    return lambda *overrides, recipe=None: resolve_settings(recipe, data="digits", overrides=[*OVERRIDES, *overrides])
