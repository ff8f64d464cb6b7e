"""LARS against values derived by hand and against timm's; parameters land in the right groups."""

import pytest
import torch
from torch import nn

from repdiag.config.training import OptimizerSettings
from repdiag.training.lars import LARS
from repdiag.training.optimizers import build_optimizer, parameter_groups, set_rates


def test_lars_first_two_steps_by_hand():
    """w = (3, 4), g = (0, 2), wd 0: ratio = trust * 5 / 2, so v1 = lr * .0025 * g and v2 = .9 v1 + v1' ."""
    weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = LARS([weight], lr=2.0, momentum=0.9, trust=0.001)
    weight.grad = torch.tensor([0.0, 2.0], dtype=torch.float64)
    optimizer.step()
    first = 2.0 * 0.001 * 5 / 2 * 2
    assert weight.tolist() == pytest.approx([3.0, 4.0 - first], rel=1e-14)
    size = (9 + (4.0 - first) ** 2) ** 0.5
    optimizer.step()
    second = 0.9 * first + 2.0 * 0.001 * size / 2 * 2
    assert weight[1].item() == pytest.approx(4.0 - first - second, rel=1e-14)


def test_lars_equals_timms():
    from timm.optim import Lars

    start = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    # Without weight decay, where the two variants of the trust ratio (|g + wd w| and |g| + wd |w|) are the same.
    optimizers = [LARS([ours], lr=0.5, momentum=0.9, trust=0.001)]
    optimizers.append(Lars([theirs], lr=0.5, momentum=0.9, trust_coeff=0.001, eps=0.0, always_adapt=True))
    for step in range(3):
        gradient = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step + 1))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours.data, theirs.data, rtol=1e-12, atol=0)


def test_lars_takes_the_plain_step_for_zero_weights_and_for_unadapted_groups():
    zero, bias = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))
    optimizer = LARS([{"params": [zero]}, {"params": [bias], "adapt": False}], lr=0.5, momentum=0.0)
    zero.grad, bias.grad = torch.ones(2), torch.ones(2)
    optimizer.step()
    assert zero.tolist() == [-0.5, -0.5]
    assert bias.tolist() == [0.5, 0.5]


def network():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),  # weight, bias
        nn.BatchNorm2d(4),  # norm, bias
        nn.Conv2d(4, 4, 3, groups=4, bias=False),  # depthwise
        nn.Conv2d(4, 4, 3, groups=2, bias=False),  # weight
    )


def test_kinds_without_decay_and_without_adaptation():
    settings = OptimizerSettings(name="lars", weight_decay=0.1, no_decay=("bias", "depthwise"))
    groups = parameter_groups(network(), settings)
    found = sorted((group["weight_decay"], group["adapt"], len(group["params"])) for group in groups)
    assert found == [(0.0, False, 2), (0.0, True, 1), (0.1, False, 1), (0.1, True, 2)]


def test_scales_of_layers_are_treated_as_those_of_norms():
    """DINO's, SwAV's and SSLight's code asks for the number of axes: what has one is neither adapted nor decayed."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(4))
            self.token = nn.Parameter(torch.ones(1, 1, 4))
            self.norm = nn.RMSNorm(4)

    groups = parameter_groups(Scaled(), OptimizerSettings(name="lars", weight_decay=0.1, no_decay=("bias", "norm")))
    assert [(group["weight_decay"], group["adapt"], len(group["params"])) for group in groups] == [
        (0.0, False, 2),
        (0.1, True, 1),
    ]


def test_frozen_parameters_are_left_out():
    frozen = network().requires_grad_(False)
    assert parameter_groups(frozen, OptimizerSettings()) == []


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW), ("lars", LARS)])
def test_rates_reach_the_groups_that_decay(name, kind):
    settings = OptimizerSettings(name=name, no_decay=("bias",))
    optimizer = build_optimizer(network(), settings, lr=0.1)
    assert type(optimizer) is kind
    set_rates(optimizer, lr=0.7, weight_decay=0.3)
    assert {group["lr"] for group in optimizer.param_groups} == {0.7}
    assert sorted(group["weight_decay"] for group in optimizer.param_groups)[0] == 0.0
    assert sorted(group["weight_decay"] for group in optimizer.param_groups)[-1] == 0.3
