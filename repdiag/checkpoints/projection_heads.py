"""Rebuilds a projection head from its tensors: a chain of linear and normalisation layers named by their indices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from repdiag.checkpoints.contents import Contents, State, under
from repdiag.checkpoints.formats.format import Branch

_ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


def head_tensors(contents: Contents, branch: Branch, part: str) -> State:
    """Return the tensors at one of the places of `branch.projector`, without their prefix."""
    place, colon, prefix = part.rpartition(":")
    if part.startswith("./"):
        prefix = branch.prefix + part[2:]
    return under(contents.state(place if colon else branch.place) or {}, prefix)


def build_head(state: Mapping[str, Tensor], *, in_dim: int, activation: str = "relu") -> nn.Sequential | None:
    """Return the head that these tensors make up, or None where they are not a chain from `in_dim` features.

    A missing index between two layers is the activation (and a dropout, which does nothing here).
    """
    groups: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        place, _, leaf = name.rpartition(".")
        if place and not place.isdigit():
            return None
        groups.setdefault(int(place or 0), {})[leaf] = value  # a single layer has no index
    layers: list[nn.Module] = []
    width, previous = in_dim, -1
    for index in sorted(groups):
        layer = _layer(groups[index], width)
        if layer is None:
            return None
        if layers and index > previous + 1:
            layers.append(_ACTIVATIONS[activation]())
        layers.append(layer)
        width = layer.out_features if isinstance(layer, nn.Linear) else width
        previous = index
    return nn.Sequential(*layers) if any(isinstance(layer, nn.Linear) for layer in layers) else None


def _layer(tensors: Mapping[str, Tensor], width: int) -> nn.Module | None:
    weight = tensors.get("weight")
    layer: nn.Module
    if "running_mean" in tensors:
        if tensors["running_mean"].shape != (width,):
            return None
        layer = nn.BatchNorm1d(width, affine=weight is not None)
    elif weight is None or weight.ndim not in (1, 2) or weight.shape[-1] != width:
        return None
    elif weight.ndim == 2:
        layer = nn.Linear(width, weight.shape[0], bias="bias" in tensors)
    else:
        layer = nn.LayerNorm(width)
    if set(layer.state_dict()) - {"num_batches_tracked"} != set(tensors) - {"num_batches_tracked"}:
        return None
    counter = {"num_batches_tracked": torch.tensor(0)} if "running_mean" in tensors else {}
    layer.load_state_dict(
        counter | {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    )
    return layer
