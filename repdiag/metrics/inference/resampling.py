"""Evaluation again on parts of the rows, always without replacement: a copy of a row would be its own neighbour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.metrics.effort import current_effort
from repdiag.metrics.inference.estimate import Estimate
from repdiag.metrics.inference.units import are_classes, balanced, lie_in_classes, unit_index
from repdiag.metrics.pairwise.part_rows import part_of
from repdiag.metrics.pairwise.processes import dealt
from repdiag.metrics.pairwise.sharing import isolated, memoised, tensor_key
from repdiag.metrics.registry import Metric

Index = NDArray[np.int64]
Evaluate = Callable[[Index], float | None]

_REMEMBERED = 2**25  # bytes of features: its parts then take up to 1.3 GB
# More rows than this make the error of a pass over pairs no surer, only later: it is measured on as many of them, and
# falls with the root.
MOST_ROWS = 10_000
KEPT = 0.5  # half-samples: the variance of the replicates then is that of the value, no factor to blow up noise


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How many rows there are, the classes that are strata, and the groups that stay whole (None: every row alone)."""

    count: int
    labels: Tensor | None = None
    groups: Tensor | None = None

    @property
    def units(self) -> int:
        """Return how many units there are to resample."""
        return self.count if self.groups is None else len(torch.unique(self.groups))

    @property
    def whole(self) -> str:
        """Return what to say of the units in the name of a method."""
        return "" if self.groups is None else " of whole groups"

    def chosen(self, index: Index) -> Rows:
        """Return the units of the chosen rows."""
        labels, groups = (None if item is None else item[index] for item in (self.labels, self.groups))
        return Rows(count=len(index), labels=labels, groups=groups)

    def dealt(self, blocks: int, *, seed: int) -> Index:
        """Deal the units, shuffled within their class, to the blocks in turn; return the block of every row [N]."""
        if self.groups is None:
            return _dealt(self.count, blocks, None if self.labels is None else self.labels.cpu().numpy(), seed)
        unit = unit_index(self.groups)
        first = np.unique(unit, return_index=True)[1]
        classes = None if self.labels is None else self.labels.cpu().numpy()[first]
        return _dealt(len(first), blocks, classes, seed)[unit]


def block_jackknife(evaluate: Evaluate, value: float, *, rows: Rows, seed: int) -> Estimate | None:
    """Return the delete-a-block jackknife: each block holds its share of every class, so classes count as fixed.

    Error^2 = (G-1)/G sum_g (v_g - mean)^2 over the values v_g without block g. None where some v_g is undefined.
    """
    blocks = min(current_effort().blocks, rows.count // 2 if rows.groups is None else rows.units)
    if blocks < 2:
        return None
    block = rows.dealt(blocks, seed=seed)
    values = dealt(lambda number: evaluate(np.flatnonzero(block != number)), blocks, what="intervals")
    found = [found for found in values if found is not None]
    if len(found) < blocks:
        return None
    error = ((blocks - 1.0) * float(np.var(found))) ** 0.5
    return Estimate(
        value=value, error=error, freedom=blocks - 1.0, method=f"jackknife over {blocks} blocks{rows.whole}"
    )


def subsampling(
    evaluate: Evaluate, value: float, *, rows: Rows, seed: int, replicates: int | None = None
) -> Estimate | None:
    """Return the error from random halves of the rows, class by class, drawn without replacement.

    For halves the variance of the replicates about their mean is that of the full value (delete-d jackknife, d = N/2).
    About their mean, because many of these metrics shift with the number of rows; the interval is for the expected
    value at this N.
    """
    return subsampling_by_turn(lambda half, _turn: evaluate(half), value, rows=rows, seed=seed, replicates=replicates)


def subsampling_by_turn(
    evaluate: Callable[[Index, int], float | None],
    value: float,
    *,
    rows: Rows,
    seed: int,
    replicates: int | None = None,
) -> Estimate | None:
    """Return the error as `subsampling` does, of a value that is told the number of the half, from 0 on."""
    replicates = replicates or current_effort().replicates
    values = dealt(lambda turn: evaluate(_half(rows, turn, seed=seed), turn), replicates, what="intervals")
    found = [found for found in values if found is not None]
    if len(found) < len(values) or len(found) < 2:
        return None
    scale = KEPT / (1.0 - KEPT)
    error = (scale * float(np.var(found, ddof=1))) ** 0.5
    method = f"{replicates} half-samples{rows.whole} without replacement"
    return Estimate(value=value, error=error, freedom=replicates - 1.0, method=method)


def halves(rows: Rows, *, seed: int, replicates: int) -> Iterator[Index]:
    """Yield the row numbers of random halves, ascending; of every class half its rows, odd ones by lot."""
    for replicate in range(replicates):
        yield _half(rows, replicate, seed=seed)


def _half(rows: Rows, replicate: int, *, seed: int) -> Index:
    return np.flatnonzero(rows.dealt(2, seed=seed * 1_000_003 + replicate) == replicate % 2)


def split_halves(evaluate: Evaluate, value: float, *, rows: Rows, seed: int, splits: int) -> Estimate | None:
    """Return the error from the differences between the two halves of random splits of the rows.

    The halves share no row, so (a - b)^2 / 2 estimates the variance at N / 2 rows whatever a row does to the parts of
    others; means over neighbourhoods of a fixed number of rows have half of it at N.
    """

    def difference(split: int) -> float | None:
        side = rows.dealt(2, seed=seed * 1_000_003 + split)
        first, second = (evaluate(np.flatnonzero(side == number)) for number in (0, 1))
        return None if first is None or second is None else first - second

    found = dealt(difference, splits, what="intervals")
    differences = [difference for difference in found if difference is not None]
    if len(differences) < splits:
        return None
    error = float(np.mean(np.square(differences)) / 4.0) ** 0.5
    method = f"{splits} splits into halves{rows.whole}"
    return Estimate(value=value, error=error, freedom=float(min(splits, rows.units - 1)), method=method)


def enough_rows(rows: Rows, *, seed: int, most: int | None = None) -> Index | None:
    """Return as many rows as suffice for the error, of every class its share; None where there are no more, or groups.

    Groups stay whole and are dealt to the halves as they are. `most` is how many suffice, `MOST_ROWS` by default.
    """
    blocks = -(-rows.count // (most or MOST_ROWS))
    if blocks < 2 or rows.groups is not None:
        return None
    return np.flatnonzero(rows.dealt(blocks, seed=seed) == 0)


def at_all_rows(found: Estimate | None, *, measured: int, rows: int) -> Estimate | None:
    """Return the error of all the rows, of an estimate whose error was measured on some of them."""
    if found is None:
        return None
    return replace(found, error=found.error * (measured / rows) ** 0.5, method=f"{found.method} of {measured} rows")


def units_of(metric: Metric, labels: Tensor | None, groups: Tensor | None, *, rows: int) -> Rows:
    """Return the units to resample for a metric of `rows` rows: its strata, and the groups that stay whole.

    A metric of classes needs every class in every part. For others, classes of unequal size are taken to have come out
    so by chance, row by row: parts that keep their sizes would miss that variation. Classes are no strata where they
    were drawn themselves, or where a group has rows of several.
    """
    labels, groups = (None if item is None or len(item) != rows else item for item in (labels, groups))
    if (
        labels is not None
        and groups is not None
        and (are_classes(groups, labels) or not lie_in_classes(groups, labels))
    ):
        labels = None
    if labels is not None and "labels" not in metric.takes and not balanced(labels):
        labels = None
    return Rows(count=rows, labels=labels, groups=groups)


def evaluator(metric: Metric, arguments: Mapping[str, Any]) -> Evaluate:
    """Return the metric's value as a function of the rows: read off one search of all of them where it can be."""

    def again(index: Index) -> float | None:
        return evaluate_rows(metric, arguments, index)

    if metric.on_parts is None:
        return again
    of_part = metric.on_parts(**arguments)

    def read(index: Index) -> float | None:
        found = of_part(index)
        return again(index) if found is None else found

    return read


def evaluate_rows(metric: Metric, arguments: Mapping[str, Any], index: Index) -> float | None:
    """Return the metric's value on some of the rows, None where it is undefined; a bank stays whole.

    Parts of small sets are remembered like whole sets. Parts of large ones are forgotten at once, since forty of them
    would not fit; which row is in which cluster is remembered.
    """
    small = arguments["features"].nbytes <= _REMEMBERED
    with nullcontext() if small else isolated(), part_of(arguments["features"], index):
        aligned = {
            name: cut_rows(name, value, index)
            for name, value in arguments.items()
            if not (metric.second == "bank" and name.startswith("other_"))
        }
        return metric.function(**{**arguments, **aligned}).value


def cut_rows(name: str, value: Any, index: Index) -> Any:
    """Return the chosen rows of an argument that has rows, any other as it is."""
    if not isinstance(value, Tensor):
        return value
    axis = 1 if value.ndim == 3 else 0

    def cut() -> Tensor:
        return value.index_select(axis, torch.from_numpy(index).to(value.device))

    return memoised(("rows", name, tensor_key(value), index.tobytes()), cut, keep=value)


def _dealt(units: int, blocks: int, classes: NDArray[Any] | None, seed: int) -> Index:
    order = np.random.default_rng(seed).permutation(units)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    block = np.empty(units, dtype=np.int64)
    block[order] = np.arange(units) % blocks
    return block
