"""Learning rate, momentum and decay of the published recipes at chosen steps, worked out by hand from their tables."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from repdiag.downstream.presets import get_protocol
from repdiag.downstream.trained import TrainedSettings
from repdiag.methods.base import Clock
from repdiag.training.optimizers import build_optimizer, set_rates
from repdiag.training.schedules import warmup_factor
from repdiag.training.step import rates_at

PER_EPOCH = 10


def half(epoch: float, epochs: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))


# protocol, epoch, step of the epoch, lr, and the optimizer's facts.
TABLE = [
    ("moco-lincls", 0, 0, 30.0),
    ("moco-lincls", 59, 9, 30.0),
    ("moco-lincls", 60, 0, 3.0),
    ("moco-lincls", 80, 0, 0.3),
    ("moco-lincls", 99, 9, 0.3),
    ("sslight-linear", 0, 0, 0.8),
    ("sslight-linear", 50, 7, 1e-6 + (0.8 - 1e-6) * 0.5),
    ("sslight-linear", 99, 9, 1e-6 + (0.8 - 1e-6) * half(99, 100)),
    ("simclr-linear", 45, 0, 0.05),
    ("simclr-linear", 45, 5, 0.1 * half(45.5, 90)),
    ("swav-linear", 0, 9, 0.3),
    ("swav-linear", 25, 3, 0.3 * half(25, 100)),
    ("shi-transfer-linear", 39, 9, 1.5),
    ("shi-transfer-linear", 40, 0, 0.15),
    ("compress-linear", 14, 0, 0.01),
    ("compress-linear", 15, 0, 1e-3),
    ("compress-linear", 30, 0, 1e-4),
    ("semi-1", 11, 0, 0.02),
    ("semi-1", 12, 0, 0.004),
    ("semi-1", 16, 0, 0.0008),
    ("semi-10", 0, 0, 0.01),
    ("sslight-semi-1", 0, 0, 0.12),
    ("sslight-semi-1", 30, 0, 0.06),
    ("sslight-semi-10", 15, 0, 0.06),
    ("fine-tune", 0, 0, 0.01),
    ("shi-transfer-finetune", 40, 0, 0.002),
    ("shi-transfer-finetune", 70, 0, 0.0004),
]
# protocol: epochs, momentum, nesterov, decay, classifier's lr over the backbone's, rows, red's deviation
FACTS = {
    "moco-lincls": (100, 0.9, False, 0.0, None, "raw", None),
    "sslight-linear": (100, 0.9, False, 0.0, None, "raw", None),
    "simclr-linear": (90, 0.9, False, 0.0, None, "raw", None),
    "swav-linear": (100, 0.9, False, 1e-6, None, "raw", 0.228),
    "shi-transfer-linear": (60, 0.9, False, 0.0, None, "unit", None),
    "semi-1": (20, 0.9, False, 0.0, 250.0, "raw", 0.228),
    "semi-10": (20, 0.9, False, 0.0, 20.0, "raw", 0.228),
    "sslight-semi-1": (60, 0.9, True, 0.0, None, "raw", None),
    "sslight-semi-10": (30, 0.9, True, 0.0, None, "raw", None),
    "shi-transfer-finetune": (100, 0.9, False, 0.0, None, "unit", None),
}


def settings_of(name: str) -> TrainedSettings:
    found = get_protocol(name).settings
    assert isinstance(found, TrainedSettings)
    return found


@pytest.mark.parametrize(("name", "epoch", "step", "lr"), TABLE)
def test_the_learning_rate_of_a_step(name: str, epoch: int, step: int, lr: float) -> None:
    run = settings_of(name).schedule_settings()
    clock = Clock(epoch * PER_EPOCH + step, run.schedule.epochs * PER_EPOCH, PER_EPOCH)
    assert rates_at(clock, run).lr == pytest.approx(lr, rel=1e-12)


@pytest.mark.parametrize("name", FACTS)
def test_what_the_optimizer_is_told(name: str) -> None:
    found = settings_of(name)
    head_lr = getattr(found, "head_lr", None)
    run = found.schedule_settings(head_lr=head_lr)
    network = nn.Module()
    network.body, network.classifier = nn.Linear(3, 2), nn.Linear(2, 2)
    optimizer = build_optimizer(network, run.optimizer, lr=run.optimizer.lr)
    set_rates(optimizer, lr=0.5, weight_decay=run.optimizer.weight_decay)
    epochs, momentum, nesterov, decay, ratio, rows, red = FACTS[name]
    groups = optimizer.param_groups
    assert (found.epochs, found.rows, None if found.std is None else found.std[0]) == (epochs, rows, red)
    assert all(group["momentum"] == momentum and group["weight_decay"] == decay for group in groups)
    assert all(group.get("nesterov", False) == nesterov for group in groups)
    of_classifier = {id(weight) for weight in network.classifier.parameters()}
    rates = {id(w) in of_classifier: group["lr"] for group in groups for w in group["params"]}
    assert rates[False] == 0.5
    assert rates[True] == pytest.approx(0.5 * (ratio or 1.0))


def test_lars_scales_the_step_to_the_weights() -> None:
    """One step from rest: w - lr x .001 |w| / |g| g, and the bias takes the plain step."""
    run = settings_of("sslight-linear").schedule_settings()
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
        layer.bias.zero_()
    layer.weight.grad, layer.bias.grad = torch.tensor([[0.0, 2.0]]), torch.tensor([1.0])
    optimizer = build_optimizer(layer, run.optimizer, lr=run.optimizer.lr)
    set_rates(optimizer, lr=0.8, weight_decay=0.0)
    optimizer.step()
    assert layer.weight.tolist() == [[3.0, pytest.approx(4.0 - 0.8 * 0.001 * 5.0)]]
    assert layer.bias.item() == pytest.approx(-0.8)


def test_a_warm_up_of_steps_is_linear() -> None:
    assert [warmup_factor(step, 2) for step in range(3)] == [0.5, 1.0, 1.0]
    assert warmup_factor(0, 0) == 1.0
