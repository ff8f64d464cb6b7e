"""Metrics for training loops: call `update` with every batch, `compute` at any time.

They work in any framework and never hold all rows at once. Each gives the value of the metric of the same name on all
rows so far. Other metrics need the rows themselves: collect them in an `EmbeddingSet` and call `repdiag.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.metrics.algebra.moments import ClassMoments, class_moments, column_means, second_moment
from repdiag.metrics.algebra.positive_pairs import squared_distances
from repdiag.metrics.classes.pair_means import mean_between, mean_within
from repdiag.metrics.pairwise import PotentialSum, Rows, over_cross, over_pairs
from repdiag.metrics.pairwise import unit_rows as prepared_rows
from repdiag.metrics.registry import as_tensor, check_rows, get
from repdiag.metrics.spectrum.entropy_rank import entropy_rank

# Eigenvalues of a float64 Gram matrix below this share of the largest are rounding: they count as zero.
_ROUNDING = 1e-14
_ROUNDING_OF_MEANS = 1e-24  # scatter beside the squares of the mean that float64 rounding may leave


class Alignment:
    """Mean distance of positive pairs to the power `alpha`; O(1) memory."""

    def __init__(self, *, alpha: float = 2.0) -> None:
        self._alpha: float = get("alignment").checked({"alpha": alpha})["alpha"]
        self._total, self._count = 0.0, 0

    def update(self, features: Any, positives: Any) -> None:
        """Take in rows [B, D] and, in the same order, their positives [B, D]."""
        rows = _checked(features=features, views=as_tensor("views", positives)[None])
        parts = squared_distances(rows["features"], rows["views"][0]) ** (self._alpha / 2.0)
        self._total += float(parts.sum())
        self._count += len(parts)

    def compute(self) -> MetricValue:
        """Return `alignment` of all pairs so far."""
        if self._count == 0:
            return undefined("no rows so far", n=0)
        return MetricValue(value=self._total / self._count, n=self._count, params={"alpha": self._alpha})


class Uniformity:
    """Log mean Gaussian potential over all pairs, also those of unlike batches; keeps the unit rows, O(N D) memory."""

    def __init__(self, *, t: float = 2.0) -> None:
        self._t: float = get("uniformity").checked({"t": t})["t"]
        self._total, self._kept = 0.0, list[Rows]()

    def update(self, features: Any) -> None:
        """Take in rows [B, D]; they meet every row before them: O(N B D)."""
        rows = prepared_rows(_checked(features=features)["features"].clone())
        if self._kept:
            _check_dimension(rows.fast, self._kept[0].fast)
        wish = PotentialSum(self._t)
        if len(rows) > 1:
            self._total += float(over_pairs(rows, wish).sum()) / 2.0
        for earlier in self._kept:
            self._total += float(over_cross(rows, earlier, wish).sum())
        self._kept.append(rows)

    def compute(self) -> MetricValue:
        """Return `uniformity` of all rows so far."""
        count = sum(len(rows) for rows in self._kept)
        if count < 2:
            return undefined("needs two rows", n=count)
        if self._total == 0.0:
            return undefined(f"every potential underflows at t={self._t}", n=count)
        mean = self._total / (count * (count - 1) / 2)
        return MetricValue(value=min(0.0, math.log(mean)), n=count, params={"t": self._t})


class ClassDistances:
    """Distances inside and between classes, and their ratio, from sums over each class; O(C D) memory."""

    def __init__(self) -> None:
        self._moments: ClassMoments | None = None

    def update(self, features: Any, labels: Any) -> None:
        """Take in rows [B, D] with their labels [B]."""
        rows = _checked(features=features, labels=labels)
        found = class_moments(rows["features"], rows["labels"], normalize=True)
        if self._moments is not None:
            _check_dimension(found.sums, self._moments.sums)
            found = _together(self._moments, found)
        self._moments = found

    def compute(self) -> Mapping[str, MetricValue]:
        """Return `intra_class_distance`, `inter_class_distance` and `class_distance_ratio` of all rows so far."""
        names = ("intra_class_distance", "inter_class_distance", "class_distance_ratio")
        moments = self._moments
        if moments is None:
            return dict.fromkeys(names, undefined("no rows so far", n=0))
        rows, paired = int(moments.counts.sum()), moments.keep(moments.counts >= 2)
        inside = undefined("no class has two rows", n=rows)
        if len(paired.counts) > 0:
            inside = MetricValue(value=mean_within(paired, "classes"), n=rows)
        if len(moments.counts) < 2:
            return {names[0]: inside, **dict.fromkeys(names[1:], undefined("needs rows of two classes", n=rows))}
        between = mean_between(moments, "classes")
        ratio = inside  # undefined for the same reason, where there is no distance inside a class
        if inside.value is not None and between > 1e-12:
            ratio = MetricValue(value=inside.value / between, n=rows)
        elif inside.value is not None:
            ratio = undefined("all rows are the same point: there is no distance between classes", n=rows)
        return dict(zip(names, (inside, MetricValue(value=between, n=rows), ratio), strict=True))


class Spectrum:
    """RankMe and effective rank from the D x D second moment; O(D^2) memory.

    Singular values below 1e-7 of the largest cannot be told from zero in a second moment and count as zero: in a space
    that has collapsed so far, RankMe may differ from `rankme` on the rows in the fourth digit.
    """

    def __init__(self) -> None:
        self._scatter: Tensor | None = None
        self._mean: Tensor | None = None
        self._count = 0

    def update(self, features: Any) -> None:
        """Take in rows [B, D]."""
        rows = _checked(features=features)["features"]
        scatter, mean = second_moment(rows, centred=True), column_means(rows)
        if self._scatter is None or self._mean is None:
            self._scatter, self._mean, self._count = scatter, mean, len(rows)
            return
        _check_dimension(mean, self._mean)
        # About their common mean (Chan, Golub & LeVeque 1983): a sum of squares about the origin, less that of the
        # mean, keeps no digit of rows far from it.
        away, total = mean - self._mean, self._count + len(rows)
        self._scatter += scatter + torch.outer(away, away) * (self._count * len(rows) / total)
        self._mean += away * (len(rows) / total)
        self._count = total

    def compute(self) -> Mapping[str, MetricValue]:
        """Return `rankme` and `effective_rank` of all rows so far."""
        if self._scatter is None or self._mean is None:
            return dict.fromkeys(("rankme", "effective_rank"), undefined("no rows so far", n=0))
        squares = self._count * torch.outer(self._mean, self._mean)
        spectra = {"rankme": self._eigenvalues(self._scatter + squares).sqrt()}
        spectra["effective_rank"] = self._eigenvalues(self._scatter)
        if float(self._scatter.trace()) <= _ROUNDING_OF_MEANS * float(squares.trace()):
            spectra["effective_rank"].zero_()
        eps = {"rankme": 1e-7, "effective_rank": 0.0}
        return {
            name: MetricValue(value=entropy_rank(values, eps=eps[name]), n=self._count)
            if float(values.sum()) > 0.0
            else undefined("the spectrum is zero", n=self._count)
            for name, values in spectra.items()
        }

    def _eigenvalues(self, moment: Tensor) -> Tensor:
        """Return as many as the rows have singular values: each of them counts, since eps is added to it."""
        values: Tensor = torch.linalg.eigvalsh(moment).flip(0)[: self._count]
        return torch.where(values > _ROUNDING * values[0], values, 0.0)


def _check_dimension(rows: Tensor, earlier: Tensor) -> None:
    if rows.shape[-1] != earlier.shape[-1]:
        found = f"{rows.shape[-1]} after {earlier.shape[-1]}"
        raise MetricError("the batches of a stream differ in dimension", found=found)


def _checked(**data: Any) -> dict[str, Tensor]:
    """Return tensors, with the errors that the metrics themselves raise."""
    rows = {name: as_tensor(name, value) for name, value in data.items()}
    check_rows(rows)
    return rows


def _together(first: ClassMoments, second: ClassMoments) -> ClassMoments:
    labels, place = torch.unique(torch.cat([first.labels, second.labels]), return_inverse=True)
    parts = {name: torch.cat([getattr(first, name), getattr(second, name)]) for name in ("counts", "sums", "squares")}
    added = {
        name: part.new_zeros(len(labels), *part.shape[1:]).index_add_(0, place, part) for name, part in parts.items()
    }
    return ClassMoments(labels=labels, **added)
