"""The linear probe where its optimum can be worked out, and against another solver of the same problem."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.probes import linear_probe_accuracy, probe_gap, ridge_probe_accuracy
from repdiag.metrics.probes.ridge_halves import as_first_seen, dealt_halves, same_share


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clouds(seed: int, rows: int = 60, dims: int = 5, classes: int = 3) -> tuple[Tensor, Tensor]:
    centres = torch.randn(classes, dims, generator=generator(99), dtype=torch.float64)
    labels = torch.arange(rows) % classes
    return centres[labels] + torch.randn(rows, dims, generator=generator(seed), dtype=torch.float64), labels


def bank_of(rows: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"other_features": rows, "other_labels": labels}


@pytest.mark.parametrize("penalty", [1e-3, 1.0])
def test_two_points_divide_the_line_in_the_middle(penalty: float) -> None:
    """By symmetry the boundary of a bank {-1, 1} is 0 at any penalty: of -2, -.1, .1, 3 two lie on each side."""
    queries = torch.tensor([[-2.0], [-0.1], [0.1], [3.0]])
    bank = bank_of(torch.tensor([[-1.0], [1.0]]), torch.tensor([4, 7]))
    found = linear_probe_accuracy(queries, torch.tensor([4, 4, 7, 4]), **bank, rows="raw", penalty=penalty)
    assert float(found) == 0.75
    assert found.per_row.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_a_class_that_the_bank_lacks_is_missed_and_counted() -> None:
    rows, labels = torch.eye(4).repeat(5, 1), torch.arange(4).repeat(5)
    known = labels < 3
    found = linear_probe_accuracy(rows, labels, **bank_of(rows[known], labels[known]))
    assert float(found) == 0.75
    assert found.extra["rows_of_unknown_classes"] == 5


@pytest.mark.parametrize("penalty", [1e-3, 0.1])
def test_another_solver_of_the_same_problem_classifies_alike(penalty: float) -> None:
    """Mean cross-entropy + penalty / 2 ||w||^2 by gradient-based search in torch, its intercepts free."""
    bank, truth = clouds(1)
    queries, labels = clouds(2, rows=300)
    weights, offsets = torch.zeros(3, 5, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    search = torch.optim.LBFGS([weights.requires_grad_(), offsets.requires_grad_()], max_iter=500, tolerance_grad=1e-10)

    def loss() -> Tensor:
        search.zero_grad()
        value = torch.nn.functional.cross_entropy(bank @ weights.T + offsets, truth)
        value = value + penalty / 2 * weights.square().sum()
        value.backward()
        return value

    for _ in range(5):
        search.step(loss)
    hits = ((queries @ weights.T + offsets).argmax(dim=1) == labels).double()
    found = linear_probe_accuracy(queries, labels, **bank_of(bank, truth), rows="raw", penalty=penalty)
    assert float((found.per_row != hits).double().mean()) <= 1 / 300  # one row may lie within the solvers' tolerance


def test_the_penalty_is_chosen_on_rows_that_the_fit_has_not_seen() -> None:
    """Two useful dimensions among forty of noise, 150 bank rows: small penalties fit the noise, larger ones do not."""
    useful, labels = clouds(3, rows=150, dims=2)
    more, asked = clouds(4, rows=600, dims=2)
    noise = torch.randn(750, 40, generator=generator(5), dtype=torch.float64)
    bank, queries = torch.cat([useful, noise[:150]], dim=1), torch.cat([more, noise[150:]], dim=1)
    chosen = linear_probe_accuracy(queries, asked, **bank_of(bank, labels))
    smallest = linear_probe_accuracy(queries, asked, **bank_of(bank, labels), penalty=1e-6)
    assert float(chosen) > float(smallest) + 0.02
    assert chosen.extra["penalty"] >= 1e-2
    assert chosen.extra["converged"]


def test_what_cannot_be_fitted_says_why() -> None:
    rows, labels = clouds(6, rows=12)
    assert linear_probe_accuracy(rows, labels, **bank_of(rows, torch.zeros_like(labels))).reason
    assert linear_probe_accuracy(rows, labels, **bank_of(torch.ones_like(rows), labels)).reason
    with pytest.raises(MetricError, match="penalty must be positive"):
        linear_probe_accuracy(rows, labels, **bank_of(rows, labels), penalty=0.0)


def ridge_by_hand(rows: np.ndarray, truth: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Ridge regression of +1 and -1 on standardised rows, with the penalty of the smallest leave-one-out error."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    z, queries = (rows - mean) / spread, (asked - mean) / spread
    targets = np.where(truth[:, None] == np.unique(truth), 1.0, -1.0)
    errors, weights = [], []
    for penalty in np.logspace(-2, 4, 7):
        inverse = np.linalg.inv(z.T @ z + penalty * np.eye(z.shape[1]))
        weight = inverse @ z.T @ (targets - targets.mean(axis=0))
        leverage = np.einsum("nd,de,ne->n", z, inverse, z) + 1.0 / len(z)  # of the intercept too
        left_out = (targets - targets.mean(axis=0) - z @ weight) / (1.0 - leverage)[:, None]
        errors.append(np.square(left_out).mean())
        weights.append(weight)
    return (queries @ weights[int(np.argmin(errors))] + targets.mean(axis=0)).argmax(axis=1)


def test_the_probe_of_halves_is_ridge_regression() -> None:
    rows, labels = clouds(3, rows=180)
    found = ridge_probe_accuracy(rows, labels, seed=4)
    side = dealt_halves(labels.numpy(), seed=4)
    assert [np.bincount(side[labels.numpy() == one]).tolist() for one in range(3)] == [[30, 30]] * 3
    hits = np.zeros(180)
    for half in (0, 1):
        own = side == half
        read = ridge_by_hand(rows.numpy()[own], labels.numpy()[own], rows.numpy()[~own])
        hits[~own] = read == labels.numpy()[~own]
    assert found.per_row.tolist() == hits.tolist()
    assert 0.5 < float(found) < 1.0


def test_a_probe_of_a_bank_reads_each_row_once() -> None:
    rows, labels = clouds(3, rows=90)
    bank, classes = clouds(5, rows=60)
    found = ridge_probe_accuracy(rows, labels, **bank_of(bank, classes), seed=1)
    mine, its = dealt_halves(labels.numpy(), seed=1), dealt_halves(classes.numpy(), seed=1)
    read = [ridge_by_hand(bank.numpy()[its == half], classes.numpy()[its == half], rows.numpy()) for half in (0, 1)]
    assert found.per_row.tolist() == (np.where(mine == 0, *read) == labels.numpy()).tolist()


def test_the_gap_is_that_of_the_two_accuracies_and_zero_for_fresh_rows() -> None:
    (rows, labels), (bank, classes) = clouds(3, rows=90), clouds(5, rows=120)
    found = probe_gap(rows, labels, **bank_of(bank, classes))
    seen, held_out = ridge_probe_accuracy(bank, classes), ridge_probe_accuracy(rows, labels, **bank_of(bank, classes))
    assert float(found) == float(seen) - float(held_out)
    assert abs(float(found)) < 0.15
    memorised = bank + 3.0 * torch.eye(5, dtype=torch.float64)[classes]
    assert float(probe_gap(rows, labels, **bank_of(memorised, classes))) > 0.3


def test_of_a_large_bank_some_rows_of_every_class_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    (rows, labels), (bank, classes) = clouds(3, rows=90), clouds(5, rows=600)
    monkeypatch.setattr(sys.modules["repdiag.metrics.probes.probe_gap"], "MOST_ROWS", 90)
    found = probe_gap(rows, labels, **bank_of(bank, classes))
    assert found.extra["bank_rows"] == 90
    chosen = same_share(as_first_seen(classes.numpy()), most=90, seed=0)
    assert torch.bincount(classes[chosen]).tolist() == [30, 30, 30]


def test_a_gap_needs_two_rows_of_each_class_and_the_same_classes() -> None:
    rows, labels = clouds(3, rows=30)
    assert probe_gap(rows, labels, **bank_of(rows, labels.clamp_max(1))).reason is not None
    alone = labels.clone()
    alone[0] = 7
    assert ridge_probe_accuracy(rows, alone).reason == "a class has a single row to fit"
    assert ridge_probe_accuracy(rows, labels * 0).reason == "there is one class only to fit"
