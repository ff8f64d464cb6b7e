"""Encoders of unlike width at a common number of dimensions: cosines are kept as well as that number allows."""

import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.embeddings.common_dimension import at_dimension, common_dimension


def rows(count: int, width: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + 0.5


def cosines(values: torch.Tensor) -> torch.Tensor:
    unit = torch.nn.functional.normalize(values.double(), dim=-1)
    return unit @ unit.T


def test_the_narrowest_encoder_or_the_number_of_rows_decides() -> None:
    narrow, wide = EmbeddingSet(features=rows(40, 8)), EmbeddingSet(features=rows(40, 32))
    assert common_dimension({"a": narrow, "b": wide}) == 8
    assert common_dimension({"a": EmbeddingSet(features=rows(5, 8)), "b": EmbeddingSet(features=rows(5, 32))}) == 5


def test_features_in_a_subspace_lose_nothing() -> None:
    basis = torch.linalg.qr(rows(32, 8, seed=1)).Q.T
    train = EmbeddingSet(features=rows(40, 8) @ basis)
    val = EmbeddingSet(features=rows(20, 8, seed=2) @ basis, views=rows(20, 8, seed=3)[None] @ basis)
    found = at_dimension(train, {"val": val}, dims=8)["val"]
    assert found.features.shape == (20, 8)
    assert found.views is not None
    assert torch.allclose(cosines(found.features), cosines(val.features), atol=1e-6)
    assert val.views is not None
    assert torch.allclose(cosines(found.views[0]), cosines(val.views[0]), atol=1e-6)


def test_the_error_is_the_smallest_that_the_dimension_allows() -> None:
    train = EmbeddingSet(features=rows(40, 32))
    found = at_dimension(train, {"train": train}, dims=8)["train"].features.double()
    unit = torch.nn.functional.normalize(train.features.double(), dim=1)
    error = (unit @ unit.T - found @ found.T).square().sum()
    left_out = torch.linalg.svdvals(unit)[8:].pow(4).sum()
    assert torch.allclose(error, left_out, rtol=1e-5)


def test_nothing_is_turned_where_the_width_fits() -> None:
    only = EmbeddingSet(features=rows(40, 8))
    found = at_dimension(only, {"only": only}, dims=8)["only"].features
    assert torch.allclose(found, torch.nn.functional.normalize(only.features, dim=1), atol=1e-6)


def test_more_dimensions_than_there_are_is_an_error() -> None:
    with pytest.raises(MetricError, match="9 dimensions"):
        at_dimension(EmbeddingSet(features=rows(40, 8)), {}, dims=9)
