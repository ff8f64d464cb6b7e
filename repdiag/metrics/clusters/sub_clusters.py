"""`sub_clusters`: how many islands a class falls into, by the gap statistic pooled over classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Bool, Features, Labels, Tensor
from repdiag.metrics import pairwise
from repdiag.metrics.moments import unit_rows
from repdiag.metrics.pairwise import TopK, over_pairs
from repdiag.metrics.registry import metric

Rows = NDArray[np.float32]
Curve = NDArray[np.float64]

NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32)  # neighbours are less than 25 % apart from 4 on
ROWS_PER_ISLAND = 3  # with fewer, an island cannot be told from a coincidence
ROWS_PER_CLASS = 300  # more rows of a class change nothing but the time
TRIM = 0.05  # share of farthest rows left out of the dispersion, so that outliers do not count as islands
PLATEAU = 0.15  # the smallest number within this share of the best gap is taken, or within one standard error
LEAST = 0.03  # heavy tails and bent classes leave a gap up to this height
STEP = 0.5  # at half the number of islands less than this share of their gap is reached; a curve cut up has more
_STARTS, _ITERATIONS, _RESAMPLES = 3, 12, 200


@metric(
    direction="context",
    bounds=(1.0, float(NUMBERS[-1])),
    invariances={"scale"},
    version=2,
    reference="tibshirani2001",
    interval="own",
)
def sub_clusters(features: Features, labels: Labels, *, seed: int = 0) -> MetricValue:
    """Sub-clusters: the number of separate islands that a class falls into, chosen once for all classes.

    Formula:      gap(k) = mean_c [log W_c*(k) / W_c*(1) - log W_c(k) / W_c(1)], the smallest k on the plateau of its
                  top; W_c(k) the trimmed dispersion of class c around k centres, W_c* that of a normal reference
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        1 (every class is one piece) to 32, at most a third of the rows of a class.
    Invariant:    scale.   Not invariant: translation, row order; rotation up to ties of k-means.
    Conventions:  unit rows; the reference is normal with the class's own covariance, so that neither an elongated class
                  nor one of few directions counts as several; exact copies count once; rows whose nearest row belongs
                  to another class are confusions and do not count; the farthest 5 % of the rows are left out of W; at
                  most 300 rows of a class. The interval resamples classes. extra: the gap and the lower end of its
                  interval, 1 where that is below .03; at_edge: more could not be tried. Null where the gap has no
                  step: half the pieces reach half of it, so they are cuts through a continuum.
    Read it as:   4 with a gap of .1 or more: classes fall into four islands, wherever these lie. granularity finds them
                  only where islands of one class lie no closer together than those of different classes.
    Limits:       islands of fewer than three rows are not seen; a class along a straight line may count as two.
    Cost:         some 50 small k-means runs a class: about .05 s a class of 100 rows.
    Reference:    Tibshirani, Walther & Hastie 2001, with their reference (b) made normal. No official code compared.
    Example:
        >>> import torch
        >>> rows = torch.eye(8).repeat_interleave(20, dim=0) + 0.05 * torch.randn(160, 8)
        >>> float(sub_clusters(rows, torch.arange(2).repeat_interleave(80)))
        4.0
    """
    curves = _curves(features, labels, seed=seed)
    if curves is None:
        return undefined(f"no class has {2 * ROWS_PER_ISLAND} unlike rows", n=len(features))
    found = _choose(curves)
    if not found.step:
        return undefined(f"the gap grows without a step up to {found.number} pieces: a continuum", n=len(features))
    generator = np.random.default_rng(seed)
    picks = generator.integers(len(curves), size=(_RESAMPLES, len(curves)))
    again = np.array([_choose(curves[pick]).number for pick in picks])
    low, high = np.quantile(again, [0.025, 0.975])
    return MetricValue(
        value=float(found.number),
        n=len(features),
        ci_low=float(min(low, found.number)),
        ci_high=float(max(high, found.number)),
        ci_method=f"bootstrap over {len(curves)} classes",
        extra={
            "gap": found.gap,
            "gap_low": found.gap - 1.96 * found.error,
            "at_edge": found.at_edge,
            "classes": len(curves),
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """A number of islands, its gap with standard error, and whether the gap makes a step there."""

    number: int
    gap: float
    error: float
    step: bool
    at_edge: bool


def _choose(curves: Curve) -> _Choice:
    """Return the smallest number whose mean gap over the classes [C, K] reaches the plateau of the highest."""
    reached = np.isfinite(curves).mean(axis=0) >= 0.5  # small classes do not reach the large numbers
    numbers, gaps = np.array(NUMBERS)[reached], curves[:, reached]
    mean, error = np.nanmean(gaps, axis=0), _standard_error(gaps)
    top = int(np.argmax(mean))
    short = _standard_error(gaps[:, [top]] - gaps)
    chosen = int(np.argmax(mean >= mean[top] - np.maximum(PLATEAU * mean[top], short)))
    if mean[chosen] - 1.96 * error[chosen] < LEAST:
        chosen = 0
    half = int(np.searchsorted(numbers, numbers[chosen] // 2))
    return _Choice(
        number=int(numbers[chosen]),
        gap=float(mean[chosen]),
        error=float(error[chosen]),
        step=bool(chosen == 0 or mean[half] < STEP * mean[chosen]),
        at_edge=chosen == len(numbers) - 1,
    )


def _standard_error(values: Curve) -> Curve:
    """Return the standard error of the column means, over the classes that have a value."""
    count = np.isfinite(values).sum(axis=0)
    errors: Curve = np.nanstd(values, axis=0) / np.sqrt(np.maximum(count - 1, 1))
    return errors


def _curves(features: Features, labels: Labels, *, seed: int) -> Curve | None:
    """Return the gap of every class at every number [C, K]; NaN where the class has too few rows for it."""
    at_home = _at_home(features, labels)
    rows, classes = _unlike(unit_rows(features[at_home]).float().cpu().numpy(), labels[at_home].cpu().numpy())
    curves = []
    # By first appearance: neither the names of the classes nor the order of these names may count.
    for number, name in enumerate(dict.fromkeys(classes.tolist())):
        generator = np.random.default_rng([seed, number])
        mine = rows[classes == name]
        if len(mine) > ROWS_PER_CLASS:
            mine = mine[np.sort(generator.choice(len(mine), ROWS_PER_CLASS, replace=False))]
        if len(mine) >= 2 * ROWS_PER_ISLAND:
            curves.append(_gap(_coordinates(mine), generator, seed=seed))
    return np.array(curves) if curves else None


def _at_home(features: Features, labels: Labels) -> Bool[Tensor, "N"]:
    """Return which rows have a row of their own class as their nearest: the others are confusions, not islands."""
    if len(features) < 2:
        return torch.zeros_like(labels, dtype=torch.bool)
    nearest = over_pairs(pairwise.unit_rows(features), TopK(1)).index[:, 0]
    return labels[nearest] == labels


def _unlike(rows: Rows, labels: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int64]]:
    """Keep one of several equal rows, and none that stand in two classes."""
    _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    group = group.ravel()
    lowest, highest = labels[first].copy(), labels[first].copy()
    np.minimum.at(lowest, group, labels)
    np.maximum.at(highest, group, labels)
    kept = np.sort(first[lowest == highest])
    return rows[kept], labels[kept]


def _coordinates(rows: Rows) -> Rows:
    """Return centred rows with the same distances in no more dimensions than there are rows."""
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    if centred.shape[1] > len(centred):
        values, vectors = np.linalg.eigh(centred @ centred.T)
        centred = vectors * np.sqrt(np.clip(values, 0.0, None))
    return np.ascontiguousarray(centred, dtype=np.float32)


def _gap(rows: Rows, generator: np.random.Generator, *, seed: int) -> Curve:
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


def _log_dispersion(rows: Rows, number: int, *, seed: int) -> float:
    """Return the log of the trimmed sum of squared distances to the nearest of `number` centres."""
    squared = _nearest(rows, number, seed=seed)
    kept = np.sort(squared)[: math.ceil(len(rows) * (1.0 - TRIM))]
    # Islands of equal points have no dispersion at all; float32 resolves nothing below this share of the total.
    return math.log(max(float(kept.sum()), 1e-7 * float(np.square(rows).sum()), 1e-30))


def _nearest(rows: Rows, number: int, *, seed: int) -> Rows:
    """Return the squared distance of every row from the nearest of `number` k-means centres [N]."""
    if number == 1:
        spread: Rows = np.square(rows - rows.mean(axis=0)).sum(axis=1)
        return spread
    import faiss

    model = faiss.Kmeans(
        rows.shape[1],
        number,
        niter=_ITERATIONS,
        nredo=_STARTS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
    )
    if hasattr(faiss, "ClusteringInitMethod_KMEANS_PLUS_PLUS"):
        # Rows drawn at random miss a third of the islands; older releases have no other start.
        model.cp.init_method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    model.train(rows)
    squared, _ = model.index.search(rows, 1)
    nearest: Rows = squared[:, 0]
    return nearest
