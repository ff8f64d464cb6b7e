"""Evaluation again on parts of the rows, always without replacement: a copy of a row would be its own neighbour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.metrics.inference.estimate import Estimate
from repdiag.metrics.pairwise.sharing import isolated, memoised, tensor_key
from repdiag.metrics.registry import Metric

Index = NDArray[np.int64]
Evaluate = Callable[[Index], float | None]

BLOCKS = 30
REPLICATES = 20
_REMEMBERED = 2**25  # bytes of features: its parts then take up to 1.3 GB
KEPT = 0.5  # half-samples: the variance of the replicates then is that of the value, no factor to blow up noise


def block_jackknife(
    evaluate: Evaluate, value: float, *, rows: int, labels: Tensor | None, seed: int
) -> Estimate | None:
    """Return the delete-a-block jackknife: each block holds its share of every class, so classes count as fixed.

    Error^2 = (G-1)/G sum_g (v_g - mean)^2 over the values v_g without block g. None where some v_g is undefined.
    """
    blocks = min(BLOCKS, rows // 2)
    if blocks < 2:
        return None
    block = _blocks(rows, blocks, labels=labels, seed=seed)
    values = [evaluate(np.flatnonzero(block != number)) for number in range(blocks)]
    found = [found for found in values if found is not None]
    if len(found) < blocks:
        return None
    error = ((blocks - 1.0) * float(np.var(found))) ** 0.5
    return Estimate(value=value, error=error, freedom=blocks - 1.0, method=f"jackknife over {blocks} blocks")


def subsampling(
    evaluate: Evaluate, value: float, *, rows: int, labels: Tensor | None, seed: int, replicates: int = REPLICATES
) -> Estimate | None:
    """Return the error from random halves of the rows, class by class, drawn without replacement.

    For halves the variance of the replicates about their mean is that of the full value (delete-d jackknife, d = N/2).
    About their mean, because many of these metrics shift with the number of rows; the interval is for the expected
    value at this N.
    """
    values = [evaluate(half) for half in halves(rows, labels=labels, seed=seed, replicates=replicates)]
    found = [found for found in values if found is not None]
    if len(found) < len(values) or len(found) < 2:
        return None
    scale = KEPT / (1.0 - KEPT)
    error = (scale * float(np.var(found, ddof=1))) ** 0.5
    method = f"{replicates} half-samples without replacement"
    return Estimate(value=value, error=error, freedom=replicates - 1.0, method=method)


def halves(rows: int, *, labels: Tensor | None, seed: int, replicates: int) -> Iterator[Index]:
    """Yield the row numbers of random halves, ascending; of every class half its rows, odd ones by lot."""
    for replicate in range(replicates):
        block = _blocks(rows, 2, labels=labels, seed=seed * 1_000_003 + replicate)
        yield np.flatnonzero(block == replicate % 2)


def strata(metric: Metric, labels: Tensor | None) -> Tensor | None:
    """Return the labels by which rows are resampled, None where class by class would be too regular.

    A metric of classes needs every class in every part. For others, classes of unequal size are taken to have come out
    so by chance, row by row: parts that keep their sizes would miss that variation.
    """
    if labels is None or "labels" in metric.takes:
        return labels
    counts = torch.unique(labels, return_counts=True)[1]
    return labels if bool((counts == counts[0]).all()) else None


def evaluate_rows(metric: Metric, arguments: Mapping[str, Any], index: Index) -> float | None:
    """Return the metric's value on some of the rows, None where it is undefined; a bank stays whole.

    Parts of small sets are remembered like whole sets, so that metrics with a clustering in common share it. Parts of
    large ones are forgotten at once: forty of them would not fit.
    """
    small = arguments["features"].nbytes <= _REMEMBERED
    with nullcontext() if small else isolated():
        aligned = {
            name: _cut(name, value, index)
            for name, value in arguments.items()
            if not (metric.second == "bank" and name.startswith("other_"))
        }
        return metric.function(**{**arguments, **aligned}).value


def _cut(name: str, value: Any, index: Index) -> Any:
    if not isinstance(value, Tensor):
        return value
    axis = 1 if value.ndim == 3 else 0

    def cut() -> Tensor:
        return value.index_select(axis, torch.from_numpy(index).to(value.device))

    return memoised(("rows", name, tensor_key(value), index.tobytes()), cut, keep=value)


def _blocks(rows: int, blocks: int, *, labels: Tensor | None, seed: int) -> Index:
    """Deal the rows, shuffled within their class, to the blocks in turn."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(rows)
    if labels is not None:
        order = order[np.argsort(labels.cpu().numpy()[order], kind="stable")]
    block = np.empty(rows, dtype=np.int64)
    block[order] = np.arange(rows) % blocks
    return block
