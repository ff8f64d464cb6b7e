"""Optimizers from their settings, with weight decay and adaptation where they belong."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from repdiag.config.training import OptimizerSettings
from repdiag.training.lars import LARS

Kind = Literal["weight", "bias", "norm", "depthwise"]
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def build_optimizer(network: nn.Module, settings: OptimizerSettings, *, lr: float) -> Optimizer:
    """Return the optimizer over the trainable parameters of `network`, in groups by kind of parameter."""
    groups = parameter_groups(network, settings)
    # One kernel for all parameters: "fused" on GPUs, "foreach" elsewhere.
    fused = all(weight.is_cuda for group in groups for weight in group["params"])
    kernel: dict[str, Any] = {"fused": True} if fused else {"foreach": True}
    if settings.name == "sgd":
        return SGD(groups, lr=lr, momentum=settings.momentum, nesterov=settings.nesterov, **kernel)
    if settings.name == "adamw":
        return AdamW(groups, lr=lr, betas=settings.betas, **kernel)
    return LARS(groups, lr=lr, momentum=settings.momentum, trust=settings.trust)


def parameter_groups(network: nn.Module, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Return one group for each kind of trainable parameter, with its weight decay and whether LARS adapts it.

    The classifier's parameters are groups of their own where it has a learning rate of its own: `lr_ratio` times that
    of the rest.
    """
    head = _head(network) if settings.head_lr is not None else frozenset()
    members: dict[tuple[bool, Kind], list[nn.Parameter]] = {}
    for kind, weight in _kinds(network):
        members.setdefault((weight in head, kind), []).append(weight)
    groups: list[dict[str, Any]] = []
    for (is_head, kind), weights in members.items():
        decay = 0.0 if kind in settings.no_decay else settings.weight_decay
        group: dict[str, Any] = {"params": weights, "weight_decay": decay, "decays": kind not in settings.no_decay}
        group["lr_ratio"] = (settings.head_lr or settings.lr) / settings.lr if is_head else 1.0
        if settings.name == "lars":
            group["adapt"] = kind not in ("bias", "norm")
        groups.append(group)
    return groups


def set_rates(optimizer: Optimizer, *, lr: float, weight_decay: float) -> None:
    """Set this step's learning rate and the weight decay of the groups that decay."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_ratio", 1.0)  # checkpoints of older versions have none
        if group["decays"]:
            group["weight_decay"] = weight_decay


def memory_of(optimizer: Optimizer) -> int:
    """Return the bytes that the optimizer's state will take: one copy of the weights, two for AdamW."""
    copies = 2 if isinstance(optimizer, AdamW) else 1
    weights: list[nn.Parameter] = [weight for group in optimizer.param_groups for weight in group["params"]]
    return copies * sum(weight.numel() * weight.element_size() for weight in weights)


def clip_gradients(network: nn.Module, max_norm: float) -> None:
    """Scale the gradients down to a joint norm of at most `max_norm`."""
    torch.nn.utils.clip_grad_norm_([weight for weight in network.parameters() if weight.grad is not None], max_norm)


def _head(network: nn.Module) -> frozenset[nn.Parameter]:
    """Return the parameters of the classifier of a method that has one."""
    classifier = getattr(network, "classifier", None)
    return frozenset(classifier.parameters()) if isinstance(classifier, nn.Module) else frozenset()


def _kinds(network: nn.Module) -> list[tuple[Kind, nn.Parameter]]:
    found: list[tuple[Kind, nn.Parameter]] = []
    seen: set[nn.Parameter] = set()
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight.requires_grad and weight not in seen:
                seen.add(weight)
                found.append((_kind(module, name, weight), weight))
    return found


def _kind(module: nn.Module, name: str, weight: nn.Parameter) -> Kind:
    if name == "bias" or name.endswith("_bias"):
        return "bias"
    if isinstance(module, _NORMS) or weight.ndim <= 1:  # scales of layers are treated as those of norms
        return "norm"
    if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
        return "depthwise"
    return "weight"
