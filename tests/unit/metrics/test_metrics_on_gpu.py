"""Every registered metric on rows that lie on a GPU: the value of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.metrics.evaluate import evaluate
from repdiag.metrics.registry import load_all

pytestmark = pytest.mark.gpu

ROWS, DIMS, CLASSES = 400, 24, 8


def embedding_set(seed: int, *, noise: float = 0.3) -> EmbeddingSet:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(ROWS) % CLASSES
    centres = torch.randn(CLASSES, DIMS, generator=torch.Generator().manual_seed(99))
    features = centres[labels] + torch.randn(ROWS, DIMS, generator=generator)
    views = features + noise * torch.randn(2, ROWS, DIMS, generator=generator)
    return EmbeddingSet(
        features=features,
        projections=features[:, :12] * 2.0,
        labels=labels,
        views=views,
        view_projections=views[..., :12] * 2.0,
        row_ids=np.arange(ROWS),
    )


def another_encoder(own: EmbeddingSet, second: EmbeddingSet) -> EmbeddingSet:
    features = own.features + 0.1 * second.features
    return EmbeddingSet(features=features, projections=features[:, :12], labels=own.labels, row_ids=own.row_ids)


@pytest.mark.parametrize("name", sorted(load_all()))
def test_a_metric_has_the_value_of_the_cpu(name: str) -> None:
    own, second = embedding_set(0), embedding_set(1, noise=0.6)
    takes = {"bank": second, "other": another_encoder(own, second)}
    needs = load_all()[name].second
    beside = {needs: takes[needs]} if needs else {}
    wanted = evaluate(own, [name], **beside).to_frame()
    on_gpu = {role: found.to("cuda") for role, found in beside.items()}
    found = evaluate(own.to("cuda"), [name], **on_gpu).to_frame()
    assert len(found) == len(wanted) > 0
    for column in ("value", "ci_low", "ci_high"):
        assert np.allclose(
            found[column].to_numpy(float), wanted[column].to_numpy(float), rtol=1e-5, atol=1e-8, equal_nan=True
        )
