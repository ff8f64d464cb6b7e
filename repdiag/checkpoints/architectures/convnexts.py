"""ConvNeXt, V1 and V2, under timm's names: depths, widths and kernels are read from the tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts

_BLOCK = re.compile(r"stages\.(\d+)\.blocks\.(\d+)\.")
_EPS = 1e-6
_NAMES: Mapping[tuple[tuple[int, ...], int], str] = {
    ((2, 2, 6, 2), 40): "atto",
    ((2, 2, 6, 2), 48): "femto",
    ((2, 2, 6, 2), 64): "pico",
    ((2, 2, 8, 2), 80): "nano",
    ((3, 3, 9, 3), 96): "tiny",
    ((3, 3, 27, 3), 96): "small",
    ((3, 3, 27, 3), 128): "base",
    ((3, 3, 27, 3), 192): "large",
}


def convnext_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one ConvNeXt that has tensors of these shapes."""
    depths: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, state)):
        depths[int(match[1])] = max(depths.get(int(match[1]), 0), int(match[2]) + 1)
    first = [state.get(f"stages.{stage}.blocks.0.conv_dw.weight") for stage in range(len(depths))]
    stem, wide = state.get("stem.0.weight"), state.get("stages.0.blocks.0.mlp.fc1.weight")
    if not depths or stem is None or wide is None or any(kernel is None for kernel in first):
        return []
    kernels = [kernel for kernel in first if kernel is not None]
    settings: dict[str, Any] = {
        "depths": tuple(depths[stage] for stage in sorted(depths)),
        "dims": tuple(kernel.shape[0] for kernel in kernels),
        "kernel_sizes": kernels[0].shape[-1],
        "patch_size": stem.shape[-1],
        "use_grn": "stages.0.blocks.0.mlp.grn.weight" in state,
        "ls_init_value": 1e-6 if "stages.0.blocks.0.gamma" in state else None,
        "conv_mlp": wide.ndim == 4,
    }
    ends = "head.norm.weight" in state
    # Hugging Face gives its epsilon to the last norm alone.
    eps, eps_origin = (facts.norm_eps, facts.origin_of("norm_eps")) if facts.norm_eps else (_EPS, ASSUMED)
    own = Origin("names", "what every ConvNeXt does")
    activation = facts.activation or "gelu"
    pooled = Fact.of("pooling", "mean, then the norm" if ends else "mean of the last map", own)
    epsilon = Fact.of("epsilon of the last norm", f"{eps:g}", eps_origin, flag="--norm-eps")
    acts = Fact.of("activation", activation, facts.origin_of("activation"), flag="--activation")
    found = (pooled, acts, epsilon) if ends else (pooled, acts)
    size = _NAMES.get((settings["depths"], settings["dims"][0]), "-".join(map(str, settings["depths"])))
    name = f"convnext{'v2' if settings['use_grn'] else ''}_{size}"
    build = partial(_build, settings, activation=activation, eps=eps if ends else None)
    return [Candidate(name=name, build=build, layer="pooling and norm" if ends else "pooling", facts=found)]


def _build(settings: Mapping[str, Any], *, activation: str, eps: float | None) -> nn.Module:
    from timm.models.convnext import ConvNeXt

    from repdiag.checkpoints.architectures.activations import activation_layer

    made: Any = ConvNeXt
    module: Any = made(num_classes=0, norm_eps=_EPS, act_layer=activation_layer(activation), **settings)
    if eps is None:  # of a network of maps, which ends before it
        module.head.norm = nn.Identity()
    else:
        module.head.norm.eps = eps
    built: nn.Module = module
    return built
