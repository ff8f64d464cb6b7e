"""Image towers of OpenCLIP that are a network of timm and a projection: `trunk` and `head`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.fitting.infer_arch import candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.reading.contents import State, under
from repdiag.core.shapes import Float

_LINEAR, _MLP = {"proj.weight", "proj.bias"}, {f"mlp.fc{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")}


def trunk_networks(state: State, facts: Facts, *, recorded: str | None) -> list[Candidate]:
    """Return the networks that the tensors under `trunk.` may be of, each with the projection that follows it."""
    head, trunk = under(state, "head."), under(state, "trunk.")
    if not trunk or not head or not (set(head) <= _LINEAR or set(head) <= _MLP):
        return []
    shapes = {name: value.shape for name, value in head.items()}
    for options in filter(None, candidates(trunk, replace(facts, project=False), recorded=recorded)):
        return [
            replace(option, build=partial(_Tower, option.build, shapes), layer=f"{option.layer}, projected")
            for option in options
        ]
    return []


class _Tower(nn.Module):
    def __init__(self, build: Callable[[], nn.Module], shapes: Mapping[str, torch.Size]) -> None:
        super().__init__()
        self.trunk = build()
        self.head = nn.Module()
        if "proj.weight" in shapes:
            self.head.proj = _linear(shapes, "proj")
        else:
            self.head.mlp = nn.Module()
            self.head.mlp.fc1, self.head.mlp.fc2 = _linear(shapes, "mlp.fc1"), _linear(shapes, "mlp.fc2")

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B P"]:
        """Return the projected features."""
        features: Tensor = self.trunk(images)
        for layer in (getattr(self.head, "proj", None), getattr(self.head, "mlp", None)):
            if isinstance(layer, nn.Linear):
                features = layer(features)
            elif isinstance(layer, nn.Module):
                first, last = layer.get_submodule("fc1"), layer.get_submodule("fc2")
                features = last(nn.functional.gelu(first(features)))
        return features


def _linear(shapes: Mapping[str, torch.Size], name: str) -> nn.Linear:
    rows, columns = shapes[f"{name}.weight"]
    return nn.Linear(columns, rows, bias=f"{name}.bias" in shapes)
