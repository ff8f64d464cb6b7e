"""The linear probe where its optimum can be worked out, and against another solver of the same problem."""

import pytest
import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.probes import linear_probe_accuracy


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
