"""Metrics that are fed batch by batch: `update` with every batch, `compute` when asked.

For loops that never hold all rows at once, of any framework. Each gives the value of the metric of the same name on all
rows seen. Everything else needs the rows themselves: collect them in an `EmbeddingSet` and call `repdiag.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.metrics.classes.pair_means import mean_between, mean_within
from repdiag.metrics.moments import ClassMoments, class_moments, second_moment
from repdiag.metrics.pairwise import PotentialSum, Rows, over_cross, over_pairs
from repdiag.metrics.pairwise import unit_rows as prepared_rows
from repdiag.metrics.positive_pairs import squared_distances
from repdiag.metrics.registry import as_tensor, check_rows
from repdiag.metrics.spectrum.entropy_rank import entropy_rank

# Eigenvalues of a float64 Gram matrix below this share of the largest are rounding: they count as zero.
_ROUNDING = 1e-14


class Alignment:
    """Mean distance of positive pairs to the power `alpha`; O(1) memory."""

    def __init__(self, *, alpha: float = 2.0) -> None:
        self._alpha, self._total, self._count = alpha, 0.0, 0

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
        self._t, self._total, self._kept = t, 0.0, list[Rows]()

    def update(self, features: Any) -> None:
        """Take in rows [B, D]; they meet every row before them: O(N B D)."""
        rows = prepared_rows(_checked(features=features)["features"].clone())
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
        self._moments = found if self._moments is None else _together(self._moments, found)

    def compute(self) -> Mapping[str, MetricValue]:
        """Return `intra_class_distance`, `inter_class_distance` and `class_distance_ratio` of all rows so far."""
        names = ("intra_class_distance", "inter_class_distance", "class_distance_ratio")
        rows = 0 if self._moments is None else int(self._moments.counts.sum())
        if self._moments is None or len(self._moments.counts) < 2 or bool((self._moments.counts < 2).all()):
            return dict.fromkeys(names, undefined("needs two classes, one of them with two rows", n=rows))
        inside = mean_within(self._moments.keep(self._moments.counts >= 2), "classes")
        between = mean_between(self._moments, "classes")
        ratio = undefined("all rows lie in one point: there is no distance between classes", n=rows)
        if between > 1e-12:
            ratio = MetricValue(value=inside / between, n=rows)
        found = (MetricValue(value=inside, n=rows), MetricValue(value=between, n=rows), ratio)
        return dict(zip(names, found, strict=True))


class Spectrum:
    """RankMe and effective rank from the D x D second moment; O(D^2) memory.

    Singular values below 1e-7 of the largest cannot be told from zero in a second moment and count as zero: in a space
    that has collapsed so far, RankMe may differ from `rankme` on the rows in the fourth digit.
    """

    def __init__(self) -> None:
        self._moment: Tensor | None = None
        self._sum: Tensor | None = None
        self._count = 0

    def update(self, features: Any) -> None:
        """Take in rows [B, D]."""
        rows = _checked(features=features)["features"]
        moment, total = second_moment(rows, centred=False), rows.sum(dim=0, dtype=torch.float64)
        self._moment = moment if self._moment is None else self._moment + moment
        self._sum = total if self._sum is None else self._sum + total
        self._count += len(rows)

    def compute(self) -> Mapping[str, MetricValue]:
        """Return `rankme` and `effective_rank` of all rows so far."""
        if self._moment is None or self._sum is None:
            return dict.fromkeys(("rankme", "effective_rank"), undefined("no rows so far", n=0))
        centred = self._moment - torch.outer(self._sum, self._sum) / self._count
        spectra = {"rankme": _eigenvalues(self._moment).sqrt(), "effective_rank": _eigenvalues(centred)}
        eps = {"rankme": 1e-7, "effective_rank": 0.0}
        return {
            name: MetricValue(value=entropy_rank(values, eps=eps[name]), n=self._count)
            if float(values.sum()) > 0.0
            else undefined("the spectrum is zero", n=self._count)
            for name, values in spectra.items()
        }


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


def _eigenvalues(moment: Tensor) -> Tensor:
    values: Tensor = torch.linalg.eigvalsh(moment)
    return torch.where(values > _ROUNDING * values[-1], values, 0.0)
