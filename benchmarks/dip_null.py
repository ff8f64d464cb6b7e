"""How large is the dip of a sample with one mode? Quantiles for uniform samples, the least favourable of one mode.

    python -m benchmarks.dip_null --write    simulate, and put the table into repdiag/metrics/clusters/dip_null.py

Every number of rows gets --samples uniform samples from a seed of its own. The table holds sqrt(n) x dip at the tail
probabilities in its head, so that rows between two of the numbers are interpolated smoothly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from repdiag.core.files import write_text
from repdiag.metrics.clusters import dip

TARGET = Path(__file__).parents[1] / "repdiag/metrics/clusters/dip_null.py"
SIZES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096)
TAILS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
HEAD = '''"""Quantiles of sqrt(n) x dip for uniform samples; made by `python -m benchmarks.dip_null --write`."""

from __future__ import annotations

'''


def simulator() -> Callable[[int, int, int], np.ndarray]:
    """Return the simulation of many samples, compiled from the very code that measures one."""
    namespace = {**vars(dip), "_hull": numba.njit(dip._hull)}
    narrowed = numba.njit(type(dip.narrowed)(dip.narrowed.__code__, namespace))

    @numba.njit
    def simulate(rows: int, samples: int, seed: int) -> np.ndarray:
        np.random.seed(seed)
        ranks = np.arange(rows + 1).astype(np.float64)
        found = np.empty(samples)
        for sample in range(samples):
            found[sample] = narrowed(np.sort(np.random.random(rows)), ranks[:-1], ranks[1:]) / (2.0 * rows)
        return found

    return simulate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    simulate = simulator()
    lines = [f"SAMPLES = {options.samples}", f"TAILS = {TAILS}", "QUANTILES = {"]
    for rows in SIZES:
        found = np.sqrt(rows) * simulate(rows, options.samples, rows)
        values = ", ".join(f"{value:.4f}" for value in np.quantile(found, 1.0 - np.array(TAILS)))
        lines.append(f"    {rows}: ({values}),")
        print(lines[-1], file=sys.stderr, flush=True)
    text = HEAD + "\n".join([*lines, "}"]) + "\n"
    print(text)
    if options.write:
        write_text(TARGET, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
