"""Verdicts on stored spaces: one made over-clustered, one read from a supervised network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import repdiag
from repdiag.core.embedding_set import EmbeddingSet

GOLDEN = Path(__file__).parents[2] / "golden"


def golden(name: str) -> EmbeddingSet:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as stored:
        return EmbeddingSet(features=torch.from_numpy(stored["features"]), labels=torch.from_numpy(stored["labels"]))


@pytest.mark.parametrize(("name", "verdict"), [("A", "over-clustered"), ("C", "not over-clustered")])
def test_stored_spaces(name: str, verdict: str) -> None:
    found = repdiag.diagnose(golden(name))
    assert found.over_clustering.verdict == verdict
    assert found.collapse.verdict == "not collapsed"
