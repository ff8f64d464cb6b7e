"""Designed samples of vectors: how many rows are evaluated where not all are, which ones, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.embeddings.vector_inputs import VectorInputs

Index = NDArray[np.int64]

QUICK_ROWS = 2_000
"""Rows up to which a quick analysis takes all."""
QUICK_SHARE = 0.1**0.5
"""Of the rows beyond that: a tenth of the pairs."""
QUICK_OF_CLASS = 48
"""Rows of each class that a quick analysis takes all the same, with which islands can be found; half of the rows at
most."""
PILOT_ROWS = 2_000
PAIRED_ROWS = 100_000
"""The most rows that a wanted precision makes an analysis take: some 5 x 10^9 pairs."""
MARGIN = 1.1
"""More rows than a half-width asks for, since it is an estimate."""
_STEPS = 4
"""How often the half-widths are measured again, on more rows."""
_QUICK = "--quick: one k-means run at fewer numbers of clusters, and fewer resamples, so intervals are wider"
_OF_ROWS = ("precision_at_1", "r_precision", "instance_discrimination_accuracy", "knn_accuracy", "multilabel_knn")
_OTHERWISE = "uniformity"


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much an analysis is to cost: `quick`, a tenth; or as many rows as a `precision` takes.

    `precision` is the half-width that the 95 % intervals of means over rows are to have, in the unit of the metric:
    .005 is half a point of an accuracy.
    """

    quick: bool = False
    precision: float | None = None

    def __post_init__(self) -> None:
        if self.precision is None:
            return
        if self.quick:
            raise UsageError("quick and precision exclude each other", hint="give one of them")
        if not 0.0 < self.precision < 0.5:
            hint = "the half-width of an interval in the unit of the metric: .005 is half a point of an accuracy"
            raise UsageError("the precision must lie between 0 and .5", found=f"{self.precision:g}", hint=hint)


@dataclass(frozen=True, kw_only=True)
class RowSample:
    """The rows that are evaluated (None: all of them), and what is to be said of it."""

    rows: Index | None = None
    notes: tuple[str, ...] = ()

    def of(self, found: EmbeddingSet) -> EmbeddingSet:
        """Return the set's rows of the sample."""
        return found if self.rows is None else found.select(self.rows)


def sample_of(
    sets: Sequence[EmbeddingSet],
    effort: Effort,
    *,
    banks: Sequence[EmbeddingSet | None] = (),
    metrics: Any = None,
    seed: int = 0,
) -> RowSample:
    """Return the rows that an analysis of these sets takes: sets of the same rows in one order, and a bank of each."""
    count = len(sets[0])
    if effort.quick:
        chosen = stratified_rows(sets[0], _quick_rows(sets[0]), seed=seed)
        fewer = () if chosen is None else (f"--quick: {_share(len(chosen), count)}",)
        return RowSample(rows=chosen, notes=(*quick_note(quick=True), *fewer))
    if effort.precision is None:
        return RowSample()
    most, taken = min(count, PAIRED_ROWS), min(count, PILOT_ROWS)
    steps: list[int] = []
    for _ in range(_STEPS):
        chosen = stratified_rows(sets[0], taken, seed=seed)
        steps.append(count if chosen is None else len(chosen))
        widths = _widest(sets, chosen, banks=banks, metrics=metrics, seed=seed)
        need = max((_rows_for(width, effort.precision, of=steps[-1]) for width in widths.values()), default=0)
        if need <= steps[-1] or steps[-1] >= most:
            break
        taken = min(most, math.ceil(MARGIN * need))
    return RowSample(rows=chosen, notes=(_precision_note(effort.precision, widths, steps, need=need, of=count),))


def rows_of_class(found: EmbeddingSet) -> float:
    """Return the mean number of rows of a class; 0 without labels."""
    return len(found) / _classes(found) if _classes(found) else 0.0


def _quick_rows(found: EmbeddingSet) -> int:
    count = len(found)
    of_classes = min(QUICK_OF_CLASS * _classes(found), count // 2)
    return max(math.ceil(QUICK_SHARE * count), of_classes, min(count, QUICK_ROWS))


def _classes(found: EmbeddingSet) -> int:
    return 0 if found.labels is None else len(np.unique(found.labels.cpu().numpy()))


def _rows_for(width: float, precision: float, *, of: int) -> int:
    """Return the rows that bring a half-width of so many rows to the wanted one: it falls with their root."""
    return math.ceil(of * (width / precision) ** 2)


def _widest(
    sets: Sequence[EmbeddingSet],
    chosen: Index | None,
    *,
    banks: Sequence[EmbeddingSet | None],
    metrics: Any,
    seed: int,
) -> dict[str, float]:
    """Return the half-width of each mean over rows, the widest of all sets."""
    widths: dict[str, float] = {}
    for place, one in enumerate(sets):
        rows = one if chosen is None else one.select(chosen)
        found = _half_widths(rows, banks[place] if banks else None, metrics, seed)
        widths |= {name: max(width, widths.get(name, 0.0)) for name, width in found.items()}
    return widths


def sampled_inputs(
    inputs: VectorInputs,
    effort: Effort,
    *,
    sample: RowSample | None = None,
    metrics: Any = None,
    seed: int = 0,
) -> tuple[VectorInputs, tuple[str, ...]]:
    """Return the sample of all sets that lie beside one another, and what is to be said of it; the bank stays whole.

    `sample` is one that was chosen before.
    """
    asked: dict[str, Any] = {"banks": (inputs.bank,), "metrics": metrics, "seed": seed}
    found = sample or sample_of([inputs.embeddings], effort, **asked)
    others = {name: found.of(one) for name, one in inputs.others.items()}
    return replace(inputs, embeddings=found.of(inputs.embeddings), others=others), found.notes


def stratified_rows(found: EmbeddingSet, rows: int, *, seed: int) -> Index | None:
    """Return about so many rows, ascending: of every class the same share, two at least; None where there are no more.

    Rows that were drawn together come together. Fewer rows are part of more rows.
    """
    count = len(found)
    if rows >= count:
        return None
    labels = np.zeros(count, dtype=np.int64) if found.labels is None else found.labels.cpu().numpy()
    unit = np.arange(count) if found.groups is None else np.unique(found.groups.cpu().numpy(), return_inverse=True)[1]
    unit = unit.reshape(-1)
    first = np.unique(unit, return_index=True)[1]
    of_unit = labels[first]
    order = np.random.default_rng([seed, 7]).permutation(len(first))
    order = order[np.argsort(of_unit[order], kind="stable")]
    sizes = np.unique(of_unit, return_counts=True)[1]
    place = np.concatenate([np.arange(size) for size in sizes])
    kept = np.zeros(len(first), dtype=np.bool_)
    kept[order] = place < np.repeat(np.maximum(2, np.ceil(sizes * rows / count)), sizes)
    return np.flatnonzero(kept[unit])


def precision_reached(table: MetricTable, precision: float | None) -> tuple[str, ...]:
    """Return one line on the half-widths of means over rows, for which a precision was asked."""
    if precision is None:
        return ()
    widths: dict[str, float] = {}
    for row in table:
        if row.metric in _OF_ROWS and row.ci_low is not None and row.ci_high is not None:
            widths[row.metric] = max((row.ci_high - row.ci_low) / 2.0, widths.get(row.metric, 0.0))
    if not widths:
        return ()
    wide = {name: width for name, width in widths.items() if width > precision}
    said = ", ".join(f"{name} {width:.2g}" for name, width in sorted(widths.items()))
    end = "all within the requested width" if not wide else f"wider than requested: {', '.join(sorted(wide))}"
    return (f"half-widths: {said}; {end}",)


def _half_widths(pilot: EmbeddingSet, bank: EmbeddingSet | None, metrics: Any, seed: int) -> Mapping[str, float]:
    from repdiag.metrics.evaluate import evaluate
    from repdiag.metrics.registry import get

    wanted = [metrics] if isinstance(metrics, str) else metrics or _OF_ROWS
    names = [item if isinstance(item, str) else item[0] for item in wanted]
    there = {"features", "labels", "views", "label_matrix"} & set(pilot.available())
    there |= set() if bank is None else {f"other_{name}" for name in bank.available()}
    asked = [name for name in names if name in _OF_ROWS and set(get(name).needs) <= there]
    table = evaluate(pilot, asked or [_OTHERWISE], bank=bank, seed=seed)
    return {
        row.metric: (row.ci_high - row.ci_low) / 2.0
        for row in table
        if row.ci_low is not None and row.ci_high is not None and row.ci_high > row.ci_low
    }


def quick_note(*, quick: bool) -> tuple[str, ...]:
    """Return one line on what a quick analysis leaves out of its repetitions."""
    return (_QUICK,) if quick else ()


def _precision_note(precision: float, widths: Mapping[str, float], steps: Sequence[int], *, need: int, of: int) -> str:
    said = ", ".join(f"{name} {width:.2g}" for name, width in sorted(widths.items()))
    begin = f"--precision {precision:g}: half-widths of {steps[-1]:,} rows: {said}"
    if len(steps) > 1:
        begin += f" (sized in steps: {', '.join(f'{rows:,}' for rows in steps)})"
    if need > steps[-1]:
        begin += f"; {need:,} rows would reach it, {'which are not there' if need > of else 'more than pairs allow'}"
    return f"{begin}; {_share(steps[-1], of)}" if steps[-1] < of else f"{begin}; all {of:,} rows are evaluated"


def _share(taken: int, count: int) -> str:
    wider = (count / taken) ** 0.5
    return (
        f"{taken:,} of {count:,} rows are evaluated, the same share of every class: intervals are about "
        f"{wider:.1f} times as wide as those of all rows, and what depends on the number of rows (neighbours, "
        f"pretext accuracy) is that of {taken:,}"
    )
