"""Metrics of several labels a row, where they can be worked out by hand or by another implementation."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import repdiag
from repdiag.core.errors import MetricError
from repdiag.metrics.neighbors import mean_average_precision, multilabel_knn, multilabel_map
from repdiag.metrics.probes import multilabel_probe

DRAW = np.random.default_rng(0)
CENTRES = DRAW.normal(size=(3, 8))
TRUTH = (DRAW.random((120, 3)) < 0.4).astype(np.int64)
ROWS = TRUTH @ CENTRES + DRAW.normal(size=(120, 8))
BANK_TRUTH = (DRAW.random((200, 3)) < 0.4).astype(np.int64)
BANK = BANK_TRUTH @ CENTRES + DRAW.normal(size=(200, 8))
BESIDE = {"other_features": BANK, "other_label_matrix": BANK_TRUTH}


def test_with_one_label_a_row_it_is_mean_average_precision() -> None:
    labels = np.arange(120) % 4
    found = multilabel_map(ROWS, np.eye(4, dtype=int)[labels])
    assert float(found) == pytest.approx(float(mean_average_precision(ROWS, labels)), abs=1e-12)


def test_ranks_of_five_points_on_a_circle_by_hand() -> None:
    """Of the first row the others lie in the order b, c, d, e; it shares a label with b and d: (1 + 2/3) / 2.

    Row b is nearest to a (shared), then c, d, e (not): 1. Row d: c (no), then e (no) and b (no), a (shared) last: 1/4.
    """
    angles = torch.tensor([0.0, 0.3, 0.7, 1.0, 1.35])
    rows = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]])
    found = multilabel_map(rows, labels)
    assert found.per_row.tolist() == pytest.approx([5 / 6, 1.0, 1 / 4])
    assert found.extra["rows_without_a_partner"] == 2


def test_votes_are_those_of_another_implementation() -> None:
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (ROWS, BANK)]
    near = NearestNeighbors(n_neighbors=20, algorithm="brute").fit(unit[1]).kneighbors(unit[0], return_distance=False)
    weights = np.exp(np.einsum("nd,nkd->nk", unit[0], unit[1][near]) / 0.07)
    scores = np.einsum("nk,nkc->nc", weights, BANK_TRUTH[near]) / weights.sum(axis=1, keepdims=True)
    scores = scores.round(12)
    expected = np.mean([average_precision_score(TRUTH[:, c], scores[:, c]) for c in range(3)])
    assert float(multilabel_knn(ROWS, TRUTH, **BESIDE, k=20)) == pytest.approx(expected, abs=1e-9)


def test_the_probe_is_a_logistic_regression_a_label() -> None:
    scaler = StandardScaler().fit(BANK)
    each = []
    for c in range(3):
        model = LogisticRegression(C=1 / (0.01 * 200), tol=1e-9, max_iter=5000, solver="newton-cholesky")
        model.fit(scaler.transform(BANK), BANK_TRUTH[:, c])
        each.append(average_precision_score(TRUTH[:, c], model.decision_function(scaler.transform(ROWS))))
    found = multilabel_probe(ROWS, TRUTH, **BESIDE)
    assert found.per_class.tolist() == pytest.approx(each, abs=1e-6)
    assert float(found) == pytest.approx(np.mean(each), abs=1e-6)


def test_a_label_that_nobody_or_everybody_has_is_left_out_and_counted() -> None:
    more = [np.c_[truth, np.zeros(len(truth), int), np.ones(len(truth), int)] for truth in (TRUTH, BANK_TRUTH)]
    for metric in (multilabel_knn, multilabel_probe):
        found = metric(ROWS, more[0], other_features=BANK, other_label_matrix=more[1])
        assert float(found) == pytest.approx(float(metric(ROWS, TRUTH, **BESIDE)), abs=1e-9)
        assert found.extra["labels_left_out"] == 2
        with pytest.raises(MetricError, match="differ in their number of labels"):
            metric(ROWS, more[0], **BESIDE)


def test_a_set_with_several_labels_is_evaluated_by_them_unasked() -> None:
    rows, bank = ({"features": one, "labels": truth} for one, truth in ((ROWS, TRUTH), (BANK, BANK_TRUTH)))
    table = repdiag.evaluate(rows, bank=bank, intervals=False)
    values = {row.metric: row.value for row in table if row.metric.startswith("multilabel")}
    assert values["multilabel_map"] == float(multilabel_map(ROWS, TRUTH))
    assert values["multilabel_probe"] == float(multilabel_probe(ROWS, TRUTH, **BESIDE))
    assert len(values) == 3
