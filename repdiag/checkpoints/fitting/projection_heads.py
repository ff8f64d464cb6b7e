"""Rebuilds a projection head from its tensors: a chain of linear and normalisation layers named by their indices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.reading.contents import Contents, State, under

_WITHIN_HEADS = re.compile(r"(\d+)\.clf\.(\d+)")
_HEAD_STEP = 1000  # more layers than any head has
_NUMBERED = re.compile(r"(l|fc|linear|bn|norm)(\d+)")
_ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


def head_tensors(contents: Contents, branch: Branch, part: str) -> State:
    """Return the tensors at one of the places of `branch.projector`, without their prefix."""
    place, colon, prefix = part.rpartition(":")
    state = contents.state(place if colon else branch.place) or {}
    return under(under(state, branch.prefix), part[2:]) if part.startswith("./") else under(state, prefix)


def head_activation(contents: Contents, form: Format, branch: Branch) -> str:
    """Return the activation between the layers of a branch's head: GELU where it is DINO's, else the family's."""
    parts = (part for part in branch.projector if head_tensors(contents, branch, part))
    return "gelu" if any(_is_distilled(contents, branch, part) for part in parts) else form.head_activation


def _is_distilled(contents: Contents, branch: Branch, part: str) -> bool:
    """Say whether prototypes with weight normalisation follow a head, as they do in DINO and its relatives."""
    place, _, prefix = part.rpartition(":")
    outer = prefix.rstrip(".").rpartition(".")[0]
    beside = [f"{outer}.{name}".lstrip(".") for name in ("last_layer.", "prototypes0.weight_g")]
    return any(contents.has(place or branch.place, name) for name in beside)


def build_head(state: Mapping[str, Tensor], *, in_dim: int, activation: str = "relu") -> nn.Sequential | None:
    """Return the head that these tensors make up, or None where they are not a chain from `in_dim` features.

    A missing index between two layers is the activation (and a dropout, which does nothing here).
    """
    groups: dict[_Place, dict[str, Tensor]] = {}
    for name, value in state.items():
        path, _, leaf = name.rpartition(".")
        place = _place(path)
        if place is None:
            return None
        groups.setdefault(place, {})[leaf] = value
    layers: list[nn.Module] = []
    width, previous = in_dim, _Place(-1, 0)
    for place in sorted(groups):
        layer = _layer(groups[place], width)
        if layer is None:
            return None
        if layers and place.activates_after(previous):
            layers.append(_ACTIVATIONS[activation]())
        layers.append(layer)
        width = layer.out_features if isinstance(layer, nn.Linear) else width
        previous = place
    return nn.Sequential(*layers) if any(isinstance(layer, nn.Linear) for layer in layers) else None


class _Place(NamedTuple):
    """Where a layer stands: by its index in a list, or by its number and kind (0 linear, 1 norm) in a named chain."""

    number: int
    kind: int
    named: bool = False

    def activates_after(self, previous: _Place) -> bool:
        """Say whether an activation stands between the previous layer and this one."""
        return self.kind == 0 if self.named else self.number > previous.number + 1


def _place(path: str) -> _Place | None:
    """Read "2", "clf.2" within several heads ("1.clf.0"), "fc1", "bn1" (MMSelfSup), "l1" (yaox12); "" is one layer."""
    if path == "" or path.isdigit():
        return _Place(int(path or 0), 0)
    if within := _WITHIN_HEADS.fullmatch(path):  # between two heads stands the first one's activation
        return _Place(_HEAD_STEP * int(within[1]) + int(within[2]), 0)
    numbered = _NUMBERED.fullmatch(path)
    return _Place(int(numbered[2]), int(numbered[1] in ("bn", "norm")), named=True) if numbered else None


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
    wanted = {name: value.shape for name, value in layer.state_dict().items() if name != "num_batches_tracked"}
    if wanted != {name: value.shape for name, value in tensors.items() if name != "num_batches_tracked"}:
        return None
    counter = {"num_batches_tracked": torch.tensor(0)} if "running_mean" in tensors else {}
    layer.load_state_dict(
        counter | {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    )
    return layer
