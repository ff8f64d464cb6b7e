"""The study of what a diagnosis predicts: made-up encoders whose order is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from analyses.does_diagnosis_predict.reading import predictions, regret, score, table
from analyses.does_diagnosis_predict.run import markdown

WORTH = np.linspace(0.4, 0.9, 12)
DRAWS = np.random.default_rng(0)
RECORDS = [
    {
        "name": f"e{number}",
        "parameters": int(1000 * (number * 5 % 12)),
        "width": 64,
        "metrics": {"knn_accuracy": float(worth), "uniformity": float(worth), "rankme": float(DRAWS.normal())}
        | {"pretext_gap": float((1 - worth) * (-1) ** number)},
        "own": {"cifar": {"r_precision": float(worth), "uniformity": -float(worth)}},
        "worth": {"cifar, linear": float(worth)},
    }
    for number, worth in enumerate(WORTH)
]


def test_a_metric_is_read_by_the_side_that_it_claims() -> None:
    found = {one.predictor: one for one in predictions(RECORDS)}
    assert found["knn_accuracy"].rho == 1.0
    assert found["pretext_gap"].rho == 1.0  # the nearer to 0 the better, on either side
    assert found["uniformity"].rho == -1.0  # lower is claimed to be better: here it fails
    assert (found["uniformity"].regret, found["knn_accuracy"].regret) == (pytest.approx(0.5), 0.0)
    sizes = [record["parameters"] for record in RECORDS]
    assert found["parameters"].rho == pytest.approx(spearmanr(sizes, WORTH).statistic)
    assert "width" not in found  # all alike: it orders nothing


def test_what_is_diagnosed_on_the_target_is_another_number() -> None:
    found = {one.predictor: one.rho for one in predictions(RECORDS, own=True)}
    assert (found["r_precision"], found["uniformity"]) == (1.0, 1.0)
    assert "knn_accuracy" not in found


def test_a_predictor_that_fails_comes_last() -> None:
    assert list(table(predictions(RECORDS))["predictor"])[-1] == "uniformity"
    rows = markdown(predictions(RECORDS)).splitlines()
    assert rows[0] == "| predictor | cifar, linear | regret, mean and worst |"
    assert rows[-1].startswith("| uniformity | -1.00 |")


def test_ties_cost_their_mean_and_what_is_missing_has_no_score() -> None:
    assert regret(np.array([1.0, 1.0, 0.0]), np.array([0.9, 0.5, 0.8])) == pytest.approx(0.2)
    assert score("rankme", None) is None
    assert score("rankme", float("nan")) is None
