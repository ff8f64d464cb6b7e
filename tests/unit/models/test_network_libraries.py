"""timm and torchvision come without torch's compiler, which stays whole for whoever asks for it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import sys
from repdiag.models.network_libraries import import_network_libraries
import_network_libraries()
import timm
from repdiag.checkpoints.fitting import unfilled as made
from repdiag.checkpoints.fitting.unfilled import build_outline, build_unfilled
def build():
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=1)
outline, unfilled = build_outline(build), build_unfilled(build)
assert outline.pos_embed.is_meta and unfilled.pos_embed.is_meta
made._LARGE = 0.0
assert made.width_of_output(outline, 224) == 192
print(sorted({"timm", "torchvision"} & sys.modules.keys()), sorted({"torch._dynamo", "triton"} & sys.modules.keys()))
import torch._dynamo.utils
from timm.models.naflexvit import NaFlexRopeIterator
marked = [name for name, value in vars(NaFlexRopeIterator).items() if getattr(value, "_torchdynamo_disable", False)]
print(torch._dynamo.utils.__file__ is not None, bool(marked))
"""


def test_libraries_come_without_the_compiler_and_leave_it_whole() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM]
    done = subprocess.run(command, check=False, text=True, capture_output=True, env=environment, timeout=120)
    assert done.stdout.splitlines() == ["['timm', 'torchvision'] []", "True True"], done.stderr[-1500:]
