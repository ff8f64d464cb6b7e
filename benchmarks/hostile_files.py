"""Reads checkpoints that are changed or made to harm: none may execute, hang, swell or fail in another way.

python -m benchmarks.hostile_files                     1,000 files from seed 0
python -m benchmarks.hostile_files --files 100000 --seed 7
python -m benchmarks.hostile_files --keep FOLDER       leave the files that broke a promise there

Every file goes through `repdiag inspect` in a child process. Counted as a failure: more than 5 s of processor time,
more memory than twice the file and 256 MB, an exception that is not ours, more than 4 kB printed, a control character
printed, and whatever an audit hook sees of calls, processes, sockets and files that are opened to be written. Without
a failure among n files, at most 3 / n of files of these kinds do harm (95 %).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.unit.checkpoints.attacks import attack, size_of

SECONDS = 5.0
SPARE_BYTES = 256 * 2**20
MOST_PRINTED = 4096
_BATCH = 250


def broken_promises(found: dict[str, Any], size: int) -> list[str]:
    """Return what one measured file did that none may do."""
    if found["code"] not in (0, 1, 2):
        return [f"{found['code']} {found.get('leaked', '')}"]
    text = found["text"]
    broken = {
        f"{found['seconds']:.1f} s of processor time": found["seconds"] > SECONDS,
        f"{found['memory'] / 2**20:.0f} MB for {size:,} bytes": found["memory"] > 2 * size + SPARE_BYTES,
        f"{found['printed']:,} bytes printed": found["printed"] > MOST_PRINTED,
        "a control character printed": any(not (mark.isprintable() or mark in "\n\t") for mark in text),
        f"seen: {found['events'][:2]}": bool(found["events"]),
        "an error nobody foresaw": "did not expect" in text,
    }
    return [what for what, is_so in broken.items() if is_so]


def measured(paths: list[Path]) -> Iterator[dict[str, Any]]:
    """Give what became of each file, from one process that forks for each."""
    command = [sys.executable, "-m", "tests.unit.checkpoints.inspected", *map(str, paths)]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)


def soak(seed: int, count: int, *, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Return how so many files ended, and the promises that were broken, a line each."""
    ends: Counter[str] = Counter()
    failures: list[str] = []
    for first in range(seed * 1_000_000, seed * 1_000_000 + count, _BATCH):
        with tempfile.TemporaryDirectory() as folder:
            numbers = range(first, min(first + _BATCH, seed * 1_000_000 + count))
            paths = {path.name: path for path in (attack(number, Path(folder)) for number in numbers)}
            for found in measured(list(paths.values())):
                path = paths.pop(found["name"])
                broken = broken_promises(found, size_of(path))
                ends["broken" if broken else "refused" if found["code"] else "read"] += 1
                failures += [f"{path.name}: {what}" for what in broken]
                if broken and keep is not None:
                    shutil.move(path, keep / path.name)
            failures += [f"{name}: not measured" for name in paths]
    return ends, failures


def main() -> None:
    """Print the counts; the first failure is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    ends, failures = soak(options.seed, options.files, keep=options.keep)
    print(f"{options.files} files, seed {options.seed}, {time.monotonic() - started:.0f} s: {dict(ends)}")
    for failure in failures:
        print(f"  {failure}")
    if failures:
        sys.exit(1)
    print(f"at most {3 / options.files:.2g} of such files do harm (95 %)")


if __name__ == "__main__":
    main()
