"""`sub_clusters`: how many islands a class falls into, by the gap statistic and the valleys, pooled over classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.progress import counted
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.clusters.class_centres import squared_distances
from repdiag.metrics.clusters.class_rows import at_home, unlike
from repdiag.metrics.clusters.spread_starts import RowArray
from repdiag.metrics.clusters.valleys import Counts, border_counts, valleys
from repdiag.metrics.effort import current_effort
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Seed

Curve = NDArray[np.float64]

NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32)  # neighbours are less than 25 % apart from 4 on
ROWS_PER_ISLAND = 3  # with fewer, an island cannot be told from a coincidence
ROWS_PER_CLASS = 300  # more rows of a class change nothing but the time
TRIM = 0.05  # share of farthest rows left out of the dispersion, so that outliers do not count as islands
PLATEAU = 0.15  # the smallest number within this share of the best gap is taken, or within one standard error
LEAST = 0.03  # heavy tails and bent classes leave a gap up to this height
DEPTH = 0.5  # a valley that is less deep separates nothing
CLASSES_AT_BORDERS = 30  # more classes make the depth no surer, only later
_RESAMPLES = 200


@metric(
    direction="context",
    bounds=(1.0, float(NUMBERS[-1])),
    invariances={"scale"},
    version=3,
    reference="tibshirani2001",
    interval="own",
)
def sub_clusters(features: Features, labels: Labels, *, seed: Seed = 0) -> MetricValue:
    """Sub-clusters: the number of separate islands that a class falls into, chosen once for all classes.

    Formula:      gap(k) = mean_c [log W_c*(k) / W_c*(1) - log W_c(k) / W_c(1)], the smallest k on the plateau of its
                  top among those with valleys; W_c(k) the trimmed dispersion of class c around k centres, W_c* that of
                  a normal reference. depth(k) = 1 - 6 p, p the share of rows in the first third of the way from the
                  border of their piece to the median row
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        1 (every class is one piece) to 32, at most a third of the rows of a class.
    Invariant:    scale.   Not invariant: translation, row order; rotation up to ties of k-means.
    Conventions:  unit rows; the reference is normal with the class's own covariance. An island is a mode of the density
                  with valleys around it: a piece counts if its depth is above .5. Depth is read on rows that the
                  centres were not fitted to (10 folds), on the thinner and on the denser side of each border
                  separately; the smaller one counts, because on the thinner side of a cut through one mode the density
                  falls from the border on, however heavy the tail or bent the class. Classes are weighted by their gap:
                  a class in one piece says nothing about the islands of others. Exact copies count once. A row whose
                  nearest row belongs to another class is a confusion and does not count. W leaves out the farthest 5 %
                  of the rows; at most 300 rows of a class are used. The interval resamples classes; its lower end
                  counts only valleys that chance does not make. extra: the gap, the lower end of its interval (1 if
                  that is below .03), the depth, and at_edge: more islands could not be tried.
    Read it as:   4 with a gap of .1 or more: classes fall into four islands, wherever these lie. granularity finds
                  islands only if those of one class lie no closer together than those of different classes.
    Limits:       misses islands of fewer than three rows. With fewer than about 30 rows in all classes together no
                  valley can be told from chance, and the interval begins at 1.
    Cost:         some 50 small k-means runs a class, and for up to 60 classes ten more for each number of islands up to
                  that of the highest gap: .05 to .2 s a class of 100 rows.
    Reference:    Tibshirani, Walther & Hastie 2001, with their reference (b) made normal. No official code compared.
    Example:
        >>> import torch
        >>> rows = torch.eye(8).repeat_interleave(20, dim=0) + 0.05 * torch.randn(160, 8)
        >>> float(sub_clusters(rows, torch.arange(2).repeat_interleave(80)))
        4.0
    """
    classes = _classes(features, labels, seed=seed)
    if not classes:
        return undefined(f"no class has {2 * ROWS_PER_ISLAND} different rows", n=len(features))
    each = counted("pieces, class by class", list(classes.items()))
    curves = np.array([_gap(rows, np.random.default_rng([seed, place]), seed=seed) for place, rows in each])
    borders = _borders(classes, curves, seed=seed)
    found = _choose(curves, borders, sure=False)
    generator = np.random.default_rng(seed)
    # Where no border was worth a look, every choice of classes is in one piece.
    picks = generator.integers(len(curves), size=(_RESAMPLES if borders.any() else 1, len(curves)))
    # The lower end counts the valleys that the rows suffice to tell, the upper one those that look deep.
    low, high = (
        np.quantile([_choose(curves[pick], borders[pick], sure=sure).number for pick in picks], level)
        for sure, level in ((True, 0.025), (False, 0.975))
    )
    return MetricValue(
        value=float(found.number),
        n=len(features),
        ci_low=float(min(low, found.number)),
        ci_high=float(max(high, found.number)),
        ci_method=f"bootstrap over {len(curves)} classes",
        extra={
            "gap": found.gap,
            "gap_low": found.gap - 1.96 * found.error,
            "depth": found.depth,
            "at_edge": found.at_edge,
            "classes": len(curves),
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """A number of islands, its gap with standard error, and the depth of the valleys; None where none was looked for.

    Where the number is 1, the depth is that at the number with the highest gap: why there are no islands.
    """

    number: int
    gap: float
    error: float
    depth: float | None
    at_edge: bool


def _choose(curves: Curve, borders: Counts, *, sure: bool) -> _Choice:
    """Return the smallest number whose mean gap over the classes [C, K] reaches the plateau of the highest.

    Numbers without deep valleys between the pieces, by the counts [C, K, 4], are no islands, and the gap has to exceed
    what one piece leaves in spite of its spread over the classes. `sure`, for resampled classes, leaves that spread to
    them and asks for any valley that cannot be chance.
    """
    reached = np.isfinite(curves).mean(axis=0) >= 0.5  # small classes do not reach the large numbers
    numbers, gaps = np.array(NUMBERS)[reached], curves[:, reached]
    mean, error = np.nanmean(gaps, axis=0), _standard_error(gaps)
    counts = borders[:, reached]
    found = valleys(counts, _weights(gaps))
    deep = found.sure if sure else found.depth > DEPTH
    islands = deep & ((mean if sure else mean - 1.96 * error) >= LEAST)
    islands[0] = True
    top = int(np.argmax(np.where(islands, mean, -np.inf)))
    chosen = int(np.argmax(islands & (mean >= _plateau(gaps, top))))
    seen = chosen or int(np.argmax(mean))
    return _Choice(
        number=int(numbers[chosen]),
        gap=float(mean[chosen]),
        error=float(error[chosen]),
        depth=float(found.depth[seen]) if counts[:, seen].any() else None,
        at_edge=chosen == len(numbers) - 1,
    )


def _weights(gaps: Curve) -> Curve:
    """Return how much the borders of each class count: cuts through a class in one piece hide no islands of others."""
    weights: Curve = np.clip(np.nan_to_num(gaps), 0.0, None)
    return weights


def _plateau(gaps: Curve, top: int, *, errors: float = 1.0) -> Curve:
    """Return the mean gap from which each number counts as being as good as `top` [K]."""
    height = float(np.nanmean(gaps[:, top]))
    lowest: Curve = height - np.maximum(PLATEAU * height, errors * _standard_error(gaps[:, [top]] - gaps))
    return lowest


def _borders(classes: Mapping[int, RowArray], curves: Curve, *, seed: int) -> Counts:
    """Return the counts of every class at every number that resampled classes might choose [C, K, 4], else zeros.

    Those are the numbers on the plateau of the highest gap that has valleys, and all smaller ones. Of very many classes
    some have to do.
    """
    step = max(1, len(classes) // CLASSES_AT_BORDERS)
    counts = np.zeros((*curves.shape, 4))
    reached = np.isfinite(curves).any(axis=0)
    mean = np.full(len(NUMBERS), -np.inf)
    mean[reached] = np.nanmean(curves[:, reached], axis=0)
    best, least = len(NUMBERS), mean
    for place in sorted(map(int, np.flatnonzero(mean >= LEAST)), key=lambda place: -mean[place]):
        if place > best and mean[place] < least[place]:
            continue
        for row, (number, rows) in enumerate(classes.items()):
            if row % step == 0 and np.isfinite(curves[row, place]):
                generator = np.random.default_rng([seed, number, NUMBERS[place]])
                counts[row, place] = border_counts(rows, NUMBERS[place], seed=seed, generator=generator)
        if best == len(NUMBERS) and valleys(counts[:, [place]], _weights(curves[:, [place]])).depth[0] > DEPTH:
            best, least = place, _plateau(curves, place, errors=2.0)
    return counts


def _standard_error(values: Curve) -> Curve:
    """Return the standard error of the column means, over the classes that have a value."""
    count = np.isfinite(values).sum(axis=0)
    errors: Curve = np.nanstd(np.where(count > 0, values, 0.0), axis=0) / np.sqrt(np.maximum(count - 1, 1))
    return errors


def _classes(features: Features, labels: Labels, *, seed: int) -> dict[int, RowArray]:
    """Return the rows that count of every class that has enough of them, by the order in which classes appear; of
    classes evenly spread in it where the effort is for no more.

    By first appearance: neither the names of the classes nor the order of these names may count.
    """
    home = at_home(features, labels)
    rows, names = float64_unit_rows(features[home]).float().cpu().numpy(), labels[home].cpu().numpy()
    kept = unlike(rows, names)
    rows, names = rows[kept], names[kept]
    found = {}
    seen = list(dict.fromkeys(names.tolist()))
    step = max(1, -(-len(seen) // (current_effort().pieced_classes or max(1, len(seen)))))
    for number, name in list(enumerate(seen))[::step]:
        mine = rows[names == name]
        if len(mine) > ROWS_PER_CLASS:
            generator = np.random.default_rng([seed, number])
            mine = mine[np.sort(generator.choice(len(mine), ROWS_PER_CLASS, replace=False))]
        if len(mine) >= 2 * ROWS_PER_ISLAND:
            found[number] = _coordinates(mine)
    return found


def _coordinates(rows: RowArray) -> RowArray:
    """Return centred rows with the same distances in no more dimensions than there are rows."""
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    if centred.shape[1] > len(centred):
        values, vectors = np.linalg.eigh(centred @ centred.T)
        centred = vectors * np.sqrt(np.clip(values, 0.0, None))
    return np.ascontiguousarray(centred, dtype=np.float32)


def _gap(rows: RowArray, generator: np.random.Generator, *, seed: int) -> Curve:
    count = len(rows)
    # Random sums of the centred rows are normal with the rows' own covariance, whatever its rank.
    mixing = (generator.standard_normal((count, count)) / math.sqrt(count - 1)).astype(np.float32)
    reference = np.ascontiguousarray(mixing @ rows)
    gaps = np.full(len(NUMBERS), np.nan)
    for place, number in enumerate(NUMBERS):
        if number * ROWS_PER_ISLAND <= count:
            gaps[place] = _log_dispersion(reference, number, seed=seed) - _log_dispersion(rows, number, seed=seed)
    gaps -= gaps[0]
    return gaps


def _log_dispersion(rows: RowArray, number: int, *, seed: int) -> float:
    """Return the log of the trimmed sum of squared distances to the nearest of `number` centres."""
    squared = squared_distances(rows, number, seed=seed)
    kept = np.sort(squared)[: math.ceil(len(rows) * (1.0 - TRIM))]
    # Islands of equal points have no dispersion at all; float32 resolves nothing below this share of the total.
    return math.log(max(float(kept.sum()), 1e-7 * float(np.square(rows).sum()), 1e-30))
