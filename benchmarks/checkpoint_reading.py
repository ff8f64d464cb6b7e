"""What reading a checkpoint costs: seconds for small files, memory for large ones, seconds for those that are refused.

python -m benchmarks.checkpoint_reading                 small files, made by torchvision and timm
python -m benchmarks.checkpoint_reading --large FOLDER  a ViT-H of 2.5 GB, one of twice its depth (5 GB) and a ViT-g of
                                                        2.3 GB too, one at a time, written there and deleted

Every file is read in a child process. Seconds are processor time beyond the imports; memory is the highest resident
size of the whole process, pages of the mapped file included, in times the file. It has a fixed part, what the imports
take (three quarters of a gigabyte with a torch built for CUDA, nearly all of it torch's own), and one that grows with
the file, which is printed as "beyond the imports". Promised: 2 s for a small file, 5 s for a refusal, for the whole
process 1.3 times a file of 5 GB (it takes 1.18), and beyond the imports 1.1 times a file of 2.5 GB. For that one the
whole process takes 1.35 times the file, of which torch and the weights alone are 1.29.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SMALL_SECONDS, REFUSED_SECONDS = 2.0, 5.0
TIMES_THE_FILE, TIMES_BEYOND_IMPORTS = 1.3, 1.1
_CHILD = """
import json, sys, time
import numpy, safetensors.torch
from repdiag.models.network_libraries import import_network_libraries
import_network_libraries()
from repdiag.checkpoints.inspect import inspect_checkpoint
from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import RepdiagError
how, path = sys.argv[1:]
def resident(kind):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024
imports = resident("VmHWM")
started, said = time.process_time(), "read"
try:
    found = inspect_checkpoint(path) if how == "inspect" else load_encoder(path)
except RepdiagError as error:
    said = f"refused: {error.problem}"[:110]
seconds = time.process_time() - started
print(json.dumps({"seconds": seconds, "peak": resident("VmHWM"), "imports": imports, "said": said}))
"""
_SMALL = (
    *("torchvision:resnet18", "torchvision:vit_b_32", "torchvision:mobilenet_v3_small", "timm:vit_tiny_patch16_224"),
    *("timm:convnext_atto", "timm:swin_tiny_patch4_window7_224", "timm:regnety_002", "timm:beit_base_patch16_224"),
)
_WRITE = """
import sys, torch, timm, safetensors.torch
name, depth, kind, left_out, *paths = sys.argv[1:]
with torch.device("meta"):
    network = timm.create_model(name, num_classes=0, depth=int(depth))
number = torch.float16 if kind == "half" else torch.float32
state = {key: torch.full(value.shape, .01, dtype=number) for key, value in network.state_dict().items()}
state.pop(left_out, None)
for path in paths:
    safetensors.torch.save_file(state, path) if path.endswith(".safetensors") else torch.save(state, path)
"""


_SMALLEST_LARGE = 32  # blocks of the ViT-H, whose file is little more than three times what torch takes


def measured(how: str, path: Path) -> Mapping[str, Any]:
    """Return the seconds, the peak in bytes and the outcome of reading one file in a process of its own."""
    done = _run(_CHILD, how, str(path))
    found: Mapping[str, Any] = json.loads(done.splitlines()[-1])
    return found


def _run(code: str, *arguments: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environment).stdout


def small_files(folder: Path) -> bool:
    """Print the seconds of small files, and return whether all keep the promise."""
    import timm
    import torch
    import torchvision

    kept = True
    for name in _SMALL:
        library, _, short = name.partition(":")
        made = timm.create_model(short) if library == "timm" else torchvision.models.get_model(short, weights=None)
        path = folder / f"{short}.pth"
        torch.save({"state_dict": {f"model.{key}": value for key, value in made.state_dict().items()}}, path)
        for how in ("inspect", "load"):
            found = measured(how, path)
            kept &= found["seconds"] <= SMALL_SECONDS
            print(f"{how:8} {name:36} {path.stat().st_size / 1e6:7.1f} MB {found['seconds']:6.2f} s  {found['said']}")
        path.unlink()
    return kept


def large_files(folder: Path) -> bool:
    """Print the memory of large files and the seconds of a large one that is refused; say whether promises are kept."""
    kept = True
    whole = [(32, "vit_h.pth"), (32, "vit_h.safetensors"), (64, "vit_h_twice.safetensors")]
    for depth, name in whole:
        path = folder / name
        _run(_WRITE, "vit_huge_patch14_224", str(depth), "single", "", str(path))
        for how in ("inspect", "load"):
            found = measured(how, path)
            size = path.stat().st_size
            times, beyond = found["peak"] / size, (found["peak"] - found["imports"]) / size
            kept &= beyond <= TIMES_BEYOND_IMPORTS and (times <= TIMES_THE_FILE or depth == _SMALLEST_LARGE)
            print(f"{how:8} {path.name:36} {path.stat().st_size / 1e6:7.1f} MB {found['seconds']:6.2f} s "
                  f"peak {times:.2f} x, beyond the imports {beyond:.2f} x  {found['said']}")  # fmt: skip
        path.unlink()
    for suffix in ("pth", "safetensors"):
        path = folder / f"vit_g.{suffix}"
        _run(_WRITE, "vit_giant_patch14_dinov2", "40", "half", "blocks.7.mlp.fc2.bias", str(path))
        found = measured("load", path)
        kept &= found["seconds"] <= REFUSED_SECONDS
        print(f"refuse   {path.name:36} {path.stat().st_size / 1e6:7.1f} MB {found['seconds']:6.2f} s  {found['said']}")
        path.unlink()
    return kept


def main() -> None:
    """Print the lines; the exit code is 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = small_files(Path(folder))
    if options.large is not None:
        options.large.mkdir(parents=True, exist_ok=True)
        kept &= large_files(options.large)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
