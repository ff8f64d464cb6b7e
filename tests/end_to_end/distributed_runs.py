"""Trains, as one of the processes that torchrun starts or alone, the runs that a plan lists.

python distributed_runs.py PLAN: a JSON list of [run directory, recipe or null, overrides].
"""

import json
import sys
from pathlib import Path

import torch

from repdiag.core.distributed.world import join_world
from repdiag.training.assembly import resolve_settings
from repdiag.training.loop import train


def main():
    torch.set_num_threads(1)
    with join_world(on_gpu=False):  # one group for all runs: a second one would find the addresses of the first
        for out, recipe, overrides in json.loads(Path(sys.argv[1]).read_text()):
            train(resolve_settings(recipe, data="digits", overrides=overrides), Path(out), device="cpu")


if __name__ == "__main__":
    main()
