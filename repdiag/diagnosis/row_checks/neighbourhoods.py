"""The nearest rows of every row, with distances that keep their digits for copies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.shapes import Float, Integer
from repdiag.metrics import pairwise
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.pairwise import TopK, over_cross, over_pairs

NEAREST, TENTH, ASKED = 0, 9, 20
_STEP = 4096


@dataclass(frozen=True, kw_only=True)
class Neighbourhoods:
    """The k nearest rows by cosine, nearest first, and their distances as unit rows."""

    index: Integer[Tensor, "N K"]
    distance: Float[Tensor, "N K"]

    @property
    def copy_scale(self) -> float:
        """Return the usual distance to a tenth neighbour."""
        return float(self.distance[:, TENTH].median())


def within(features: Float[Tensor, "N D"], *, k: int = ASKED) -> Neighbourhoods:
    """Return each row's nearest among the other rows."""
    return _measured(features, features, over_pairs(pairwise.unit_rows(features), TopK(k)).index)


def across(features: Float[Tensor, "N D"], others: Float[Tensor, "M D"], *, k: int = TENTH + 1) -> Neighbourhoods:
    """Return each row's nearest among the rows of another set."""
    found = over_cross(pairwise.unit_rows(features), pairwise.unit_rows(others), TopK(k))
    return _measured(features, others, found.index)


def _measured(features: Tensor, others: Tensor, index: Tensor) -> Neighbourhoods:
    """Return the neighbourhoods with exact distances: 2 - 2 cos would have no digit left for near-copies."""
    parts = []
    for start in range(0, len(features), _STEP):
        here = float64_unit_rows(features[start : start + _STEP])
        nearest = index[start : start + _STEP].T
        columns = [(here - float64_unit_rows(others[column])).norm(dim=1) for column in nearest]
        parts.append(torch.stack(columns, dim=1))
    return Neighbourhoods(index=index, distance=torch.cat(parts))
