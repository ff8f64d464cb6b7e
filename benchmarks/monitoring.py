"""What watching a run costs: the same training with and without a look at the representation after every epoch.

python -m benchmarks.monitoring              resnet20 on the embedded digits, 4 epochs; two minutes on one core

One thread, processor time, runs with and without in turn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from repdiag.training.assembly import resolve_settings
from repdiag.training.loop import train
from repdiag.training.monitor import Measure
from repdiag.workflows.monitor import measure


def seconds(recipe: str, *, epochs: int, watched: Measure | None) -> float:
    """Return the processor time of one run."""
    settings = resolve_settings(recipe, data="digits", overrides=[f"schedule.epochs={epochs}"])
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        train(settings, Path(folder) / "run", device="cpu", measure=watched)
        return time.process_time() - start


def main() -> None:
    """Print seconds an epoch, seconds a look, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="digits_moco_v2")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plain, watched = [], []
    for _ in range(options.rounds):
        plain.append(seconds(options.recipe, epochs=options.epochs, watched=None))
        watched.append(seconds(options.recipe, epochs=options.epochs, watched=measure))
    epoch = statistics.median(plain) / options.epochs
    look = (statistics.median(watched) - statistics.median(plain)) / options.epochs
    print(f"{options.recipe}: {epoch:.1f} s an epoch; {look:.1f} s a look, {look / epoch:.0%} of an epoch")


if __name__ == "__main__":
    main()
