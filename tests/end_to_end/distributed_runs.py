"""Trains, as one of the processes that torchrun starts or alone, the runs that a plan lists.

python distributed_runs.py PLAN: a JSON list of [run directory, recipe or null, overrides].
"""

import json
import os
import sys
from pathlib import Path

import torch
from torch import nn

import repdiag
from repdiag.core.distributed.world import join_world
from repdiag.training.assembly import resolve_settings
from repdiag.training.loop import train


def main():
    torch.set_num_threads(1)
    with join_world(on_gpu=False):  # one group for all runs: a second one would find the addresses of the first
        for out, recipe, overrides in json.loads(Path(sys.argv[1]).read_text()):
            if recipe == "semi-10":
                probe(Path(out))
            else:
                train(resolve_settings(recipe, data="digits", overrides=overrides), Path(out), device="cpu")


def probe(out):
    """Fine-tune a small encoder; the run is in the folder `encoder-semi-10` below `out`."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    encoder = repdiag.load_encoder(nn.Sequential(*layers), image_size=8, name="encoder")
    settings = {"epochs": 2, "batch_size": 16, "milestones": (1,), "labels": 0.5}
    found = repdiag.probe(encoder, data="digits", limit=160, protocol="semi-10", settings=settings, fits=out)
    (out / f"value-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(found.value))


if __name__ == "__main__":
    main()
