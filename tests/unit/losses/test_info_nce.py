"""InfoNCE against a loop over exponentials, against hand-derived values and against numerical gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from repdiag.losses.info_nce import contrast_accuracy, contrast_logits, info_nce


def unit_rows(count, dim, seed):
    rows = torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1)


def test_equals_the_definition_written_as_a_loop():
    queries, keys, negatives = unit_rows(5, 7, 0), unit_rows(5, 7, 1), unit_rows(11, 7, 2)
    total = 0.0
    for query, key in zip(queries.tolist(), keys.tolist(), strict=True):
        scores = [
            math.exp(sum(a * b for a, b in zip(query, row, strict=True)) / 0.2) for row in [key, *negatives.tolist()]
        ]
        total -= math.log(scores[0] / math.fsum(scores))
    loss = info_nce(contrast_logits(queries, keys, negatives, temperature=0.2))
    assert float(loss) == pytest.approx(total / 5, rel=1e-12)


def test_collapsed_space_costs_log_of_the_candidates_and_earns_no_accuracy():
    """All similarities are equal, so each of the 1 + K candidates has probability 1 / (1 + K)."""
    same = unit_rows(1, 4, 0)
    logits = contrast_logits(same.expand(3, 4), same.expand(3, 4), same.expand(9, 4), temperature=0.07)
    assert float(info_nce(logits)) == pytest.approx(math.log(10), rel=1e-12)
    assert float(contrast_accuracy(logits)) == 0.0


def test_orthogonal_negatives():
    """Similarity 1 to the own key and 0 to K negatives: loss = log(1 + K exp(-1/T)), accuracy 1."""
    axes = torch.eye(6, dtype=torch.float64)
    logits = contrast_logits(axes[:1], axes[:1], axes[1:], temperature=0.5)
    assert float(info_nce(logits)) == pytest.approx(math.log(1 + 5 * math.exp(-2)), rel=1e-12)
    assert float(contrast_accuracy(logits)) == 1.0


def test_gradient_of_the_queries():
    keys, negatives = unit_rows(3, 4, 1), unit_rows(6, 4, 2)
    queries = unit_rows(3, 4, 0).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda rows: info_nce(contrast_logits(rows, keys, negatives, temperature=0.2)), queries
    )
