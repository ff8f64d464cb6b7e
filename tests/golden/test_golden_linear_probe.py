"""Our linear probe against scikit-learn's logistic regression, fit by fit and as a whole protocol."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.downstream.held_out import held_out_rows
from repdiag.downstream.labelled_features import labelled
from repdiag.downstream.linear import LinearSettings, linear_probe
from repdiag.downstream.softmax_regression import SoftmaxRegression


def drawn(rows: int, dims: int, classes: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes whose dimensions differ in scale a thousandfold, as features of ReLUs do."""
    draws = np.random.default_rng(seed)
    truth = np.arange(rows) % classes
    centres = np.random.default_rng(99).normal(size=(classes, dims))
    return (centres[truth] + 1.5 * draws.normal(size=(rows, dims))) * np.logspace(-2, 1, dims), truth


def theirs(rows: np.ndarray, truth: np.ndarray, penalty: float) -> LogisticRegression:
    """By Newton's method: their L-BFGS stops early where dimensions differ this much in scale."""
    solver = {"solver": "newton-cholesky", "tol": 1e-10, "max_iter": 1000}
    return LogisticRegression(C=1.0 / (penalty * len(rows)), **solver).fit(rows, truth)


@pytest.mark.parametrize(("rows", "dims", "penalty"), [(300, 12, 1e-3), (300, 12, 1.0), (60, 100, 1e-2)])
def test_the_classifier_is_scikit_learns(rows: int, dims: int, penalty: float) -> None:
    known, truth = drawn(rows, dims, 4, seed=1)
    asked, _ = drawn(500, dims, 4, seed=2)
    want = theirs(known, truth, penalty)
    ours = SoftmaxRegression(torch.from_numpy(known), torch.from_numpy(truth), classes=4).fit(penalty)
    assert ours.converged
    far = SoftmaxRegression(torch.from_numpy(known), torch.from_numpy(truth), classes=4)
    again = far.fit(penalty, near=far.fit(30.0 * penalty))
    assert torch.allclose(again.weights, ours.weights, atol=1e-5 * float(ours.weights.abs().max()))
    logits = ours.logits(torch.from_numpy(asked)).softmax(dim=1).numpy()
    assert np.abs(logits - want.predict_proba(asked)).max() < 1e-5


@pytest.mark.parametrize("loss", ["mean", "sum"])
def test_the_protocol_chooses_and_scores_as_scikit_learn_does(loss: str) -> None:
    known, truth = drawn(400, 10, 4, seed=3)
    asked, wanted = drawn(1000, 10, 4, seed=4)
    penalties = (1e-3, 1e-1, 1e1, 1e3)
    settings = LinearSettings(penalties=penalties, loss=loss, rows="raw", seed=7)
    sets = labelled(EmbeddingSet(features=known, labels=truth), EmbeddingSet(features=asked, labels=wanted))
    found = linear_probe(sets, settings)
    known = sets.train.features.double().numpy()  # sets hold float32
    asked = sets.test.features.double().numpy()

    held = held_out_rows(torch.from_numpy(truth), 0.2, seed=7).numpy()
    assert held.sum() == 80

    def scaled(penalty: float, rows: int) -> float:
        return penalty if loss == "mean" else penalty / rows

    curve = {p: theirs(known[~held], truth[~held], scaled(p, 320)).score(known[held], truth[held]) for p in penalties}
    best = max(p for p in penalties if curve[p] == max(curve.values()))
    assert {float(p): v for p, v in found.details["held_out_accuracy"].items()} == pytest.approx(curve, abs=1e-4)
    assert found.details["penalty"] == best
    score = theirs(known, truth, scaled(best, 400)).score(asked, wanted)
    assert found.scores[0].value == pytest.approx(score, abs=1e-4)
