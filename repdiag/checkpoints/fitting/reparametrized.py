"""Weights that a file keeps as factors (pruning, weight and spectral normalisation) and eval mode multiplies out."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from repdiag.checkpoints.architectures.named import HEADS

_NEW = re.compile(r"(.*)\.parametrizations\.(\w+)\.(.*)$")
_OLD = re.compile(r"(.*\.)?(\w+)_(orig|mask|g|v|u)$")


def multiplied_out(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the state dict with plain weights, and which kinds of factors were multiplied out.

    Factors of heads stay: a projection head's last layer is recognised by them.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        target = None if name.partition(".")[0] in HEADS else _target(name)
        if target is None:
            plain[name] = value
        else:
            groups.setdefault(target[0], {})[target[1]] = value
    kinds: dict[str, None] = {}
    for name, factors in groups.items():
        made = _product(factors)
        if made is None:
            return dict(state), ()
        plain[name] = made[1]
        kinds[made[0]] = None
    return plain, tuple(kinds)


def _target(name: str) -> tuple[str, str] | None:
    if found := _NEW.fullmatch(name):
        return f"{found[1]}.{found[2]}", found[3]
    found = _OLD.fullmatch(name)
    return (f"{found[1] or ''}{found[2]}", found[3]) if found and found[2] in ("weight", "bias") else None


def _product(factors: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
    """Return the kind of the factors and the weight that they stand for; None for what is not known."""
    names = set(factors)
    if names == {"orig", "mask"}:
        return "pruning", factors["orig"] * factors["mask"].to(factors["orig"].dtype)
    for names_of, kind in (({"g", "v"}, "weight"), ({"original0", "original1"}, "weight")):
        if names == names_of:
            length, direction = (factors[key].float() for key in sorted(names))
            rows = direction.reshape(direction.shape[0], -1).norm(dim=1)
            if length.numel() != len(rows):
                return None
            scale = (length.reshape(-1) / rows).reshape(-1, *[1] * (direction.ndim - 1))
            return f"{kind} normalisation", direction * scale
    old = {"orig": "original", "u": "0._u", "v": "0._v"}
    renamed = {old.get(name, name): value for name, value in factors.items()}
    if set(renamed) == {"original", "0._u", "0._v"}:
        weight = renamed["original"].float()
        matrix = weight.reshape(weight.shape[0], -1)
        sigma = torch.dot(renamed["0._u"].float(), torch.mv(matrix, renamed["0._v"].float()))
        return "spectral normalisation", weight / sigma
    return None
