"""The other losses: hand-derived values, definitions written as loops, numerical gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from repdiag.core.errors import ConfigError
from repdiag.losses.info_nce import info_nce
from repdiag.losses.multi_crop import balanced_mean
from repdiag.losses.nt_xent import nt_xent_logits
from repdiag.losses.sinkhorn import sinkhorn
from repdiag.losses.soft_cross_entropy import soft_cross_entropy


def rows(count, dim, seed):
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_nt_xent_equals_the_definition_written_as_a_loop():
    first, second = F.normalize(rows(4, 5, 0), dim=1), F.normalize(rows(4, 5, 1), dim=1)
    views = torch.cat([first, second]).tolist()
    total = 0.0
    for i in range(8):
        score = [math.exp(sum(a * b for a, b in zip(views[i], views[j], strict=True)) / 0.1) for j in range(8)]
        partner = (i + 4) % 8
        total -= math.log(score[partner] / (math.fsum(score) - score[i]))
    loss = info_nce(nt_xent_logits(first, second, temperature=0.1))
    assert float(loss) == pytest.approx(total / 8, rel=1e-12)


def test_nt_xent_gradient():
    second = F.normalize(rows(3, 4, 1), dim=1)
    first = F.normalize(rows(3, 4, 0), dim=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: info_nce(nt_xent_logits(x, second, temperature=0.5)), first)


def test_soft_cross_entropy_of_a_one_hot_target_is_the_hard_one():
    logits, classes = rows(6, 4, 0), torch.tensor([0, 3, 1, 1, 2, 0])
    soft = soft_cross_entropy(logits, F.one_hot(classes, 4).double())
    assert float(soft) == pytest.approx(float(F.cross_entropy(logits, classes)), rel=1e-12)


def test_soft_cross_entropy_of_its_own_softmax_is_the_entropy():
    """Two equally likely outcomes have an entropy of log 2."""
    logits = torch.zeros(3, 2, dtype=torch.float64)
    assert float(soft_cross_entropy(logits, logits.softmax(dim=1))) == pytest.approx(math.log(2), rel=1e-12)


def test_soft_cross_entropy_gradient():
    target = rows(3, 4, 1).softmax(dim=1)
    assert torch.autograd.gradcheck(lambda x: soft_cross_entropy(x, target), rows(3, 4, 0).requires_grad_())


def test_sinkhorn_rows_sum_to_one_and_prototypes_are_used_equally():
    assigned = sinkhorn(rows(12, 4, 0), epsilon=0.5, iterations=200)
    torch.testing.assert_close(assigned.sum(dim=1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(assigned.sum(dim=0), torch.full((4,), 3.0, dtype=torch.float64))


def test_sinkhorn_of_two_samples_and_two_prototypes():
    """For [[a, 0], [0, a]] the balanced solution is symmetric: p = sigmoid(a / epsilon) on the diagonal."""
    scores = torch.tensor([[0.3, 0.0], [0.0, 0.3]], dtype=torch.float64)
    expected = 1 / (1 + math.exp(-0.3 / 0.05))
    assigned = sinkhorn(scores, epsilon=0.05, iterations=3)
    assert assigned.diagonal().tolist() == pytest.approx([expected, expected], rel=1e-12)


def test_sinkhorn_does_not_overflow_at_a_small_epsilon():
    assigned = sinkhorn(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), epsilon=1e-4, iterations=3)
    torch.testing.assert_close(assigned, torch.eye(2))


def test_sinkhorn_equals_the_products_of_the_paper():
    """SwAV's algorithm as published: Q = exp(scores / eps), rows and columns scaled in turn, without logarithms."""
    scores = F.normalize(rows(6, 5, 0), dim=1) @ F.normalize(rows(3, 5, 1), dim=1).T
    q = (scores / 0.05).exp().T
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(dim=1, keepdim=True) * 3
        q /= q.sum(dim=0, keepdim=True) * 6
    torch.testing.assert_close(sinkhorn(scores, epsilon=0.05, iterations=3), (q * 6).T, rtol=1e-12, atol=1e-12)
    assert not sinkhorn(scores.requires_grad_(), epsilon=0.05, iterations=3).requires_grad


def test_gradient_of_a_swapped_prediction_with_local_views():
    """SwAV's and DINO's loss as they compose it, with respect to the projections of all views."""
    prototypes = F.normalize(rows(4, 3, 5), dim=1)
    target = sinkhorn(rows(2, 4, 6), epsilon=0.5, iterations=3)

    def loss(views):
        terms = [soft_cross_entropy(F.normalize(view, dim=1) @ prototypes.T / 0.1, target) for view in views]
        return balanced_mean(terms[:1], terms[1:], balance=(0.4, 0.6))

    assert torch.autograd.gradcheck(loss, rows(6, 3, 0).view(3, 2, 3).requires_grad_())


def test_nt_xent_gradient_of_both_views():
    views = F.normalize(rows(6, 4, 0), dim=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: info_nce(nt_xent_logits(x[:3], x[3:], temperature=0.1)), views)


def test_multi_crop_balance():
    """Global terms 1 and 3 (mean 2), local terms 5, 5, 8 (mean 6); all terms together have the mean 22 / 5."""
    global_terms = [torch.tensor(1.0), torch.tensor(3.0)]
    local_terms = [torch.tensor(5.0), torch.tensor(5.0), torch.tensor(8.0)]
    assert float(balanced_mean(global_terms, local_terms, balance=(0.4, 0.6))) == pytest.approx(0.4 * 2 + 0.6 * 6)
    assert float(balanced_mean(global_terms, local_terms, balance=None)) == pytest.approx(22 / 5)
    assert float(balanced_mean(global_terms, [], balance=(0.4, 0.6))) == 2.0
    with pytest.raises(ConfigError, match="two global views"):
        balanced_mean([], local_terms, balance=None)
