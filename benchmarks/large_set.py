"""A set too large for its similarity matrix: uniformity and instance discrimination in one pass, in bounded memory.

python -m benchmarks.large_set                   N = 500,000, D = 256: a quarter of an hour of one core
python -m benchmarks.large_set --rows 50000      the same in seconds

The matrix of 500,000 x 500,000 float32 similarities would take 931 GiB. Printed: processor time as a multiple of the
symmetric product's (N^2 D operations, probes before and after), and memory above the features and views.
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import torch

from benchmarks.pairwise import clustered_rows
from benchmarks.probe import measure, peak_memory_mib
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.metrics.evaluate import evaluate

_EVERY = 60.0  # seconds between two lines of progress


class _Lines:
    def __init__(self) -> None:
        self.started = self.shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.shown < _EVERY:
            return
        self.shown = now
        left = (now - self.started) * (total - done) / max(1, done)
        print(f"tiles: {done:,} of {total:,}, {left:,.0f} s left", file=sys.stderr, flush=True)


def main() -> None:
    """Print values, time and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    features, views = clustered_rows(options.rows, options.dims)
    embeddings = EmbeddingSet(features=features, views=views[None])
    before, started = peak_memory_mib(), time.monotonic()
    wanted = ["uniformity", ("instance_discrimination_accuracy", {"k": 1})]
    found = measure(lambda: evaluate(embeddings, wanted, intervals=False, pass_progress=_Lines()), dims=options.dims)
    for row in found.result:
        print(f"{row.metric} = {row.value}")
    work = float(options.rows) ** 2 * options.dims
    held = 2 * features.nbytes / 2**30
    print(
        f"N = {options.rows:,}, D = {options.dims}: {found.seconds:.0f} s of processor time, "
        f"{time.monotonic() - started:.0f} s by the clock, {found.over(work):.2f} x one symmetric product "
        f"({work / 1e12:.0f} TFLOP at {found.flop_rate / 1e9:.0f} GFLOP/s); features and views {held:.2f} GiB, "
        f"memory above them {(peak_memory_mib() - before) / 1024:.2f} GiB"
    )
    assert all(row.value is not None and math.isfinite(row.value) for row in found.result)


if __name__ == "__main__":
    main()
