"""Two encoders on images of the same classes: what differs, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import unknown_name
from repdiag.diagnosis.common_rows import common_rows, ids, independent_rows
from repdiag.diagnosis.galleries import common_galleries
from repdiag.metrics.clusters.granularity import curve_centre
from repdiag.metrics.inference.compare import compare
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.means import difference_estimate
from repdiag.metrics.inference.resampling import Index, cut_rows, enough_rows, subsampling, units_of
from repdiag.metrics.inference.units import as_groups
from repdiag.metrics.inference.with_interval import estimate
from repdiag.metrics.labelled_rows import labelled
from repdiag.metrics.pairwise import sharing
from repdiag.metrics.pairwise.sharing import isolated
from repdiag.metrics.registry import get

# One value each, first minus second; of granularity the logarithm of the ratio.
MEASURES = (
    "granularity",
    "locality",
    "r_precision",
    "precision_at_1",
    "knn_accuracy",
    "label_gap",
    "pretext_gap",
)
HALVES = 12  # of the rows, for granularity: a clustering costs more than the tenth digit of its error is worth
MOST_ROWS = 4_000  # more rows make granularity no surer: its curve is flat at the top, not noisy
_KNN = {"k": 20}
_SEEDS = 2  # of k-means on each half


@dataclass(frozen=True, kw_only=True)
class Change:
    """One measure of both encoders and their difference, first minus second, with its 95 % interval and p-value.

    "granularity" is the centre of the AMI curve in clusters a class (`curve_centre`), whose peak the metric of that
    name is; the difference is that of the logarithms: `exp` of it and of the interval's ends is the ratio.
    """

    measure: str
    first: float
    second: float
    change: float
    ci_low: float
    ci_high: float
    p_value: float
    method: str
    error: float
    freedom: float
    n: int
    peaks: tuple[float, float] | None = None
    """Of "granularity": clusters a class at the peaks of both curves, on all rows."""

    @property
    def estimate(self) -> Estimate:
        """Return the difference with its standard error."""
        return Estimate(value=self.change, error=self.error, freedom=self.freedom, method=self.method)

    @property
    def sign(self) -> int:
        """Return 1 or -1 where the interval lies above or below 0, else 0."""
        return (self.ci_low > 0.0) - (self.ci_high < 0.0)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The changes by measure, and why a measure has none."""

    changes: Mapping[str, Change]
    missing: Mapping[str, str] = field(default_factory=dict)


Measured = Callable[["_Pair"], Change | str]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Both encoders' sets and train sets; `paired` where the sets are of the same rows in one order."""

    sides: tuple[EmbeddingSet, EmbeddingSet]
    trains: tuple[EmbeddingSet, EmbeddingSet] | None
    groups: tuple[Tensor | None, Tensor | None]
    classes_drawn: bool
    paired: bool
    seed: int


def compare_encoders(
    first: EmbeddingSet,
    second: EmbeddingSet,
    *,
    first_train: EmbeddingSet | None = None,
    second_train: EmbeddingSet | None = None,
    measures: Sequence[str] = MEASURES,
    groups: Any = None,
    seed: int = 0,
) -> Compared:
    """Compare two encoders on labelled rows; with the images each was trained on, their gaps as well.

    Differences are paired where the sets hold the same images (by `row_ids`, in any order; those that only one holds
    are left out as long as nine tenths remain): images are drawn within classes that are fixed, the same halves of them
    for both encoders. Other sets are compared as independent draws from the same classes, at equal numbers of rows of
    each. `groups` are one value a row of the first set, or "classes" where the classes are a sample themselves. Gaps
    are taken at equal numbers of rows of each class on all four sides; the train sets need not be of the same images.
    `measures` are those to compare (all of `MEASURES` without it).
    Raises `MetricError` without labels, or without classes in common.

    Example:
        >>> import torch
        >>> labels = torch.arange(4).repeat_interleave(50)
        >>> noise = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
        >>> good, bad = (EmbeddingSet(features=torch.eye(8)[labels] + s * noise, labels=labels) for s in (0.2, 0.8))
        >>> compare_encoders(good, bad).changes["r_precision"].sign
        1
    """
    drawn = isinstance(groups, str)
    if groups is not None and not drawn:
        first = replace(first, groups=groups)
    first, second = labelled(first), labelled(second)
    sides = common_rows(first, second)
    paired = sides is not None
    if sides is None:
        sides = independent_rows(first, second, seed=seed)
    given = groups if drawn else sides[0].groups
    mine = as_groups(given, sides[0].labels, rows=len(sides[0]))
    units = (mine, sides[1].labels if drawn else mine)
    trains = None
    if first_train is not None and second_train is not None:
        trains = labelled(first_train), labelled(second_train)
    pair = _Pair(sides=sides, trains=trains, groups=units, classes_drawn=drawn, paired=paired, seed=seed)
    changes, missing = dict[str, Change](), dict[str, str]()
    with sharing():
        for measure in measures:
            if measure not in _MEASURED:
                raise unknown_name("measure", measure, MEASURES)
            found = _MEASURED[measure](pair)
            if isinstance(found, Change):
                changes[measure] = found
            else:
                missing[measure] = found
    return Compared(changes=changes, missing=missing)


def _retrieval(measure: str) -> Measured:
    def measured(pair: _Pair) -> Change | str:
        sides = [{"features": side.features, "labels": side.labels} for side in pair.sides]
        return _of_sets(measure, sides, pair.sides, pair)

    return measured


def _knn(pair: _Pair) -> Change | str:
    if pair.trains is None or any(train.labels is None for train in pair.trains):
        return "needs the train sets of both, with labels"
    if min(map(len, pair.trains)) < _KNN["k"]:
        return f"needs {_KNN['k']} train rows"
    sides = [
        {"features": side.features, "labels": side.labels, "other_features": its.features, "other_labels": its.labels}
        for side, its in zip(pair.sides, pair.trains, strict=True)
    ]
    return _of_sets("knn_accuracy", [{**side, **_KNN} for side in sides], pair.sides, pair)


def _of_sets(
    measure: str, given: Sequence[Mapping[str, Any]], sets: Sequence[EmbeddingSet], pair: _Pair
) -> Change | str:
    """Return the difference of a metric between two sets: paired where they are of the same rows."""
    metric = get(measure)
    found = [metric.function(**arguments) for arguments in given]
    values = [each.value for each in found]
    if values[0] is None or values[1] is None:
        return str(next(each.reason for each in found if each.value is None))
    labels = [each.labels for each in sets]
    whole = len(sets[0]) == len(pair.sides[0])
    groups = pair.groups if whole and not pair.classes_drawn else labels if pair.classes_drawn else (None, None)
    if np.array_equal(ids(sets[0]), ids(sets[1])):
        test = compare(metric, given[0], given[1], labels=labels[0], groups=groups[0], seed=pair.seed)
        if test is None:
            return "undefined on some half of the rows"
        numbers = {name: getattr(test, name) for name in ("ci_low", "ci_high", "p_value", "method", "error", "freedom")}
        return Change(measure=measure, first=values[0], second=values[1], change=test.difference, n=test.n, **numbers)
    apart = [
        estimate(metric, each, arguments, labels=label, groups=units, seed=pair.seed)
        for each, arguments, label, units in zip(found, given, labels, groups, strict=True)
    ]
    if apart[0] is None or apart[1] is None:
        return "undefined on some half of the rows"
    return _change(measure, (values[0], values[1]), difference_estimate(apart[0], apart[1]), n=found[0].n)


def _granularity(pair: _Pair) -> Change | str:
    """Return the log of the ratio of the centres of both AMI curves, its error from halves that both encoders see."""
    metric = get("granularity")
    groups = (None, None) if pair.classes_drawn else pair.groups
    sides, rows = [], []
    for side, units in zip(pair.sides, groups, strict=True):
        its_rows, arguments = units_of(metric, side.labels, units, rows=len(side)), _clustered(side)
        chosen = enough_rows(its_rows, seed=pair.seed, most=MOST_ROWS)
        if chosen is not None:
            arguments = {name: cut_rows(name, item, chosen) for name, item in arguments.items()}
            its_rows = its_rows.chosen(chosen)
        sides.append(arguments)
        rows.append(its_rows)
    curves = [_curve(side) for side in sides]
    if curves[0] is None or curves[1] is None:
        return "granularity is undefined for one of them"
    values, peaks = zip(*(curve for curve in curves if curve is not None), strict=True)
    logs = math.log(values[0]), math.log(values[1])

    def at(side: int, index: Index) -> float | None:
        with isolated():
            part = {name: cut_rows(name, item, index) for name, item in sides[side].items()}
            found = _curve({**part, "seeds": _SEEDS})
        return None if found is None else math.log(found[0])

    def both(index: Index) -> float | None:
        found = at(0, index), at(1, index)
        return None if found[0] is None or found[1] is None else found[0] - found[1]

    options = {"seed": pair.seed, "replicates": HALVES}
    if pair.paired:
        joined = subsampling(both, logs[0] - logs[1], rows=rows[0], **options)
    else:
        apart = [subsampling(partial(at, side), logs[side], rows=rows[side], **options) for side in (0, 1)]
        joined = None if apart[0] is None or apart[1] is None else difference_estimate(apart[0], apart[1])
    if joined is None:
        return "granularity is undefined on some half of the rows"
    method = f"{joined.method}, the classes fixed" if pair.classes_drawn else joined.method
    change = _change("granularity", (values[0], values[1]), replace(joined, method=method), n=rows[0].count)
    return replace(change, peaks=(peaks[0], peaks[1]))


def _curve(arguments: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return centre and peak of the AMI curve in clusters a class; None where granularity is undefined."""
    found = get("granularity").function(**arguments)
    if found.value is None:
        return None
    return curve_centre(found.extra["ami"], len(torch.unique(arguments["labels"]))), found.value


def _clustered(side: EmbeddingSet) -> dict[str, Any]:
    return {"features": side.features, "labels": side.labels}


def _label_gap(pair: _Pair) -> Change | str:
    return _gap(pair, "label_gap", "precision_at_1", ("features", "labels"))


def _pretext_gap(pair: _Pair) -> Change | str:
    return _gap(pair, "pretext_gap", "instance_discrimination_accuracy", ("features", "views"))


def _gap(pair: _Pair, name: str, measure: str, takes: tuple[str, ...]) -> Change | str:
    """Return the difference of the gaps: that of the train sets less that of the rows, two independent sets."""
    if pair.trains is None:
        return "needs the train sets of both"
    everyone = (*pair.sides, *pair.trains)
    lacking = {item for item in (*takes, "labels") for each in everyone if getattr(each, item) is None}
    if lacking:
        return f"needs {', '.join(sorted(lacking))} of the rows and of the train sets"
    sets = common_galleries(*everyone, seed=pair.seed)
    if len(sets[0]) < 2:
        return "the rows and the train sets share no class"
    given = [{item: getattr(each, item) for item in takes} for each in sets]
    held_out = _of_sets(measure, given[:2], sets[:2], pair)
    seen = _of_sets(measure, given[2:], sets[2:], pair)
    if isinstance(held_out, str) or isinstance(seen, str):
        return next(each for each in (held_out, seen) if isinstance(each, str))
    joined = difference_estimate(seen.estimate, held_out.estimate)
    return _change(name, (seen.first - held_out.first, seen.second - held_out.second), joined, n=len(sets[0]))


def _change(measure: str, values: tuple[float, float], found: Estimate, *, n: int) -> Change:
    low, high = found.interval(LEVEL)
    return Change(
        measure=measure,
        first=values[0],
        second=values[1],
        change=found.value,
        ci_low=low,
        ci_high=high,
        p_value=found.p_value(),
        method=found.method,
        error=found.error,
        freedom=found.freedom,
        n=n,
    )


_MEASURED: Mapping[str, Measured] = {
    "granularity": _granularity,
    "locality": _retrieval("locality"),
    "r_precision": _retrieval("r_precision"),
    "precision_at_1": _retrieval("precision_at_1"),
    "knn_accuracy": _knn,
    "label_gap": _label_gap,
    "pretext_gap": _pretext_gap,
}
