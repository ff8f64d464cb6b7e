"""Encoders of unlike width side by side: their features in as many dimensions as the narrowest one has.

Distances, uniformity and ranks move with the number of dimensions alone. The common reading keeps, of each wider
encoder, the directions that its cosine similarities on the train rows lose least by: the leading right singular
vectors of the unit features, not centred, since cosines are measured from the origin (Eckart & Young 1936).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.core.shapes import Float


def common_dimension(train: Mapping[str, EmbeddingSet]) -> int:
    """Return the width that all encoders can be read at: the smallest, and not more than there are train rows."""
    if not train:
        raise MetricError("no embeddings to find a common dimension of")
    return min(min(item.features.shape[1], len(item)) for item in train.values())


def at_dimension(fitted_on: EmbeddingSet, sets: Mapping[str, EmbeddingSet], *, dims: int) -> dict[str, EmbeddingSet]:
    """Return the sets with unit features of `dims` dimensions; directions come from `fitted_on` alone.

    An encoder that has no more dimensions than that keeps them all. Projections are left out. Raises `MetricError`
    where `fitted_on` has fewer rows or dimensions than `dims`.
    """
    rows, width = fitted_on.features.shape
    if not 1 <= dims <= min(rows, width):
        raise MetricError(f"{dims} dimensions cannot be read", found=f"{rows} rows of {width} dimensions")
    basis = None if width == dims else _leading_directions(fitted_on.features, dims)
    return {name: _onto(item, basis) for name, item in sets.items()}


def _leading_directions(features: Float[Tensor, "N D"], dims: int) -> Float[Tensor, "D K"]:
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    directions: Tensor = torch.linalg.svd(unit, full_matrices=False).Vh
    return directions[:dims].T


def _onto(item: EmbeddingSet, basis: Tensor | None) -> EmbeddingSet:
    def reduced(values: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize(values.double(), dim=-1)
        return (unit if basis is None else unit @ basis).float()

    views = None if item.views is None else reduced(item.views)
    return replace(item, features=reduced(item.features), views=views, projections=None, view_projections=None)
