"""Which classes fall into separate islands, into how many, along which direction, and which rows lie at its ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdiag.core.progress import counted
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.clusters.bisection import DIMENSIONS, FEWEST, bisect
from repdiag.metrics.clusters.class_rows import at_home, unlike
from repdiag.metrics.clusters.dip import Numbers
from repdiag.metrics.settings import Share

ALPHA = 0.05
LEAST_ROWS = 48
_SHOWN = 12  # rows at each end of the direction of a split


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassIslands:
    """What is known of one class: `pieces` and `p_value` are None where it has too few rows.

    `rows` is how many unlike rows the class has, `judged` how many of them lie with it. Where it is split, `shares`
    are the parts of the judged rows in each piece, along the direction of the first cut [D], and `low` and `high`
    number the rows at its two ends, the farthest first.
    """

    label: int
    rows: int
    judged: int
    pieces: int | None
    p_value: float | None
    shares: tuple[float, ...] = ()
    direction: Numbers | None = None
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()


def class_islands(
    features: Features, labels: Labels, *, alpha: Share = ALPHA, least_rows: int = LEAST_ROWS, seed: int = 0
) -> list[ClassIslands]:
    """Look for islands in every class, at error `alpha` over all classes that have the rows for it.

    Shapes: features [N, D], labels [N] -> one result a class, ascending. See the metric `islands` for the method.
    """
    rows, names = float64_unit_rows(features).cpu().numpy(), labels.cpu().numpy()
    kept, home = unlike(rows, names), at_home(features, labels).cpu().numpy()
    members = {int(name): kept[names[kept] == name] for name in np.unique(names)}
    judged = {name: mine[home[mine]] for name, mine in members.items()}
    large = [name for name, mine in members.items() if len(mine) >= least_rows]
    return [
        _one_class(rows, judged[name], name=name, count=len(mine), alpha=alpha / len(large), seed=seed)
        if name in large and len(judged[name]) >= min(FEWEST, least_rows)
        else ClassIslands(label=name, rows=len(mine), judged=len(judged[name]), pieces=None, p_value=None)
        for name, mine in counted("islands, class by class", list(members.items()))
    ]


def _one_class(
    rows: Numbers, mine: NDArray[np.int64], *, name: int, count: int, alpha: float, seed: int
) -> ClassIslands:
    chosen = rows[mine].astype(np.float64)
    centred = chosen - chosen.mean(axis=0)
    # Neither the order of the rows nor a rotation may count: lots are drawn over rows by their cosine with the mean.
    order = np.argsort(chosen @ chosen.mean(axis=0), kind="stable")
    mine, centred = mine[order], centred[order]
    found = bisect(_coordinates(centred), alpha=alpha, generator=np.random.default_rng([seed, len(mine)]))
    if found.pieces == 1:
        return ClassIslands(label=name, rows=count, judged=len(mine), pieces=1, p_value=found.p_value)
    along = np.argsort(found.scores, kind="stable")
    ends = min(_SHOWN, len(mine) // 4)
    direction = found.scores @ centred  # of all directions that whose scores go with those of the folds
    return ClassIslands(
        label=name,
        rows=count,
        judged=len(mine),
        pieces=found.pieces,
        p_value=found.p_value,
        shares=tuple((np.bincount(found.piece) / len(mine)).tolist()),
        direction=direction / np.linalg.norm(direction),
        low=tuple(mine[along[:ends]].tolist()),
        high=tuple(mine[along[::-1][:ends]].tolist()),
    )


def _coordinates(centred: Numbers) -> Numbers:
    """Return the rows in their leading principal directions: all of them where there are no more than `DIMENSIONS`."""
    count, dims = centred.shape
    if dims <= DIMENSIONS:
        return centred
    if dims <= count:
        directions: Numbers = np.linalg.eigh(centred.T @ centred)[1][:, -DIMENSIONS:]
        projected: Numbers = centred @ directions
        return projected
    values, vectors = np.linalg.eigh(centred @ centred.T)
    scaled: Numbers = (vectors * np.sqrt(np.clip(values, 0.0, None)))[:, -DIMENSIONS:]
    return scaled
