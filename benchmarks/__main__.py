"""`make bench`: runs every benchmark of minutes in turn; --quick for the short form of those that have one.

python -m benchmarks --list                  every benchmark and what it measures
python -m benchmarks --long                  those that take up to hours, too
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

# Each with the options of its short form.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "pairwise": ("--quick",),
    "neighbors": ("--quick",),
    "moments": ("--quick",),
    "kmeans": ("--quick",),
    "augmentation": (),
    "input_pipeline": (),
    "training_step": (),
    "extraction": ("--quick",),
    "end_to_end": ("--steps", "8"),
    "monitoring": ("--epochs", "2", "--rounds", "1"),
}
LONG: dict[str, tuple[str, ...]] = {
    "large_set": ("--rows", "50000"),
    "calibration": ("--draws", "5"),
    "coverage": ("--trials", "20"),
    "other_spaces": (),
    "soak": ("--kills", "50"),
    "soak_results": ("--kills", "20", "--every", "10"),
    "hostile_files": ("--files", "200"),
    "many_classes": ("--size", "1"),
}
# planted_encoders, planted_pairs, islands and report_size need images, the last a browser too, the gpu_ ones a GPU;
# dip_null writes a table that the package ships, checkpoint_reading needs 3 GB of disk,
# typical_values writes a table that the package ships: they are run by hand.
BY_HAND = (
    "planted_encoders",
    "report_size",
    "gpu_pairs",
    "gpu_images",
    "dip_null",
    "islands",
    "planted_pairs",
    "linear_protocols",
    "exported",
    "drift_pairs",
    "checkpoint_reading",
    "typical_values",
    "scene_objects",
)


def purpose(script: str) -> str:
    """Return the first line of a script's docstring."""
    source = Path(__file__).with_name(f"{script}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def main() -> None:
    """Run the scripts; the first failure is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for script in (*SCRIPTS, *LONG, *BY_HAND):
            print(f"benchmarks.{script:<16} {purpose(script)}")
        return
    for script, short in (SCRIPTS | (LONG if options.long else {})).items():
        print(f"\n== benchmarks.{script}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{script}", *(short if options.quick else ())]
        done = subprocess.run(command, check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
