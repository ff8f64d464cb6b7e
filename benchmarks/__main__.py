"""`make bench`: runs every benchmark in turn; --quick for the short form of those that have one."""

from __future__ import annotations

import argparse
import subprocess
import sys

SCRIPTS = {
    "benchmarks.pairwise": ("--quick",),
    "benchmarks.neighbors": ("--quick",),
    "benchmarks.moments": ("--quick",),
    "benchmarks.kmeans": ("--quick",),
    "benchmarks.augmentation": (),
    "benchmarks.input_pipeline": (),
    "benchmarks.training_step": (),
}


def main() -> None:
    """Run the scripts; the first failure is ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    for script, short in SCRIPTS.items():
        print(f"\n== {script}", flush=True)
        done = subprocess.run([sys.executable, "-m", script, *(short if quick else ())], check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
