"""Mix transformers (SegFormer's encoder) and PVT v2, which are one architecture: sizes are read from the tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError

_BLOCK = re.compile(r"stages\.(\d+)\.blocks\.(\d+)\.")
_EPS = 1e-6  # of the norms of blocks and stages; those of patches and of reduced keys have PyTorch's 1e-5
_EPS_WITHIN = 1e-5
_STRIDES = [4, 2, 2, 2]


def mix_transformer_candidates(
    state: Mapping[str, Tensor], facts: Facts, *, eps_within: float | None = _EPS_WITHIN
) -> list[Candidate]:
    """Return the one mix transformer that has tensors of these shapes.

    `eps_within` is the epsilon of the norms of patches and of reduced keys, None for that of the others.
    """
    depths: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, state)):
        depths[int(match[1])] = max(depths.get(int(match[1]), 0), int(match[2]) + 1)
    firsts = [f"stages.{stage}.blocks.0." for stage in range(len(depths))]
    wanted = [f"{first}{layer}.weight" for first in firsts for layer in ("attn.q", "mlp.fc1")]
    if not depths or "patch_embed.proj.weight" not in state or any(name not in state for name in wanted):
        return []
    if list(facts.config.get("strides") or _STRIDES) != _STRIDES:  # which the library's own class follows
        return []
    widths = [state[f"{first}attn.q.weight"].shape[0] for first in firsts]
    kernels = [state.get(f"{first}attn.sr.weight") for first in firsts]
    heads, heads_origin = _heads(facts, widths)
    eps = facts.norm_eps or _EPS
    activation = facts.activation or "gelu"
    settings: dict[str, Any] = {
        "depths": tuple(depths[stage] for stage in sorted(depths)),
        "embed_dims": tuple(widths),
        "num_heads": heads,
        "sr_ratios": tuple(1 if kernel is None else kernel.shape[-1] for kernel in kernels),
        "mlp_ratios": tuple((state[f"{first}mlp.fc1.weight"].shape[0] + 0.5) / width  # as `int` is taken
                            for first, width in zip(firsts, widths, strict=True)),
        "qkv_bias": f"{firsts[0]}attn.q.bias" in state,
        "linear": all(kernel is not None and kernel.shape[-1] == 1 for kernel in kernels),
    }  # fmt: skip
    found = (
        Fact.of("attention heads of the stages", ", ".join(map(str, heads)), heads_origin, flag="--heads"),
        Fact.of("pooling", "mean of the last map", Origin("names", "what its classifiers do")),
        Fact.of("activation", activation, facts.origin_of("activation"), flag="--activation"),
        Fact.of("layer norm epsilon", f"{eps:g}", facts.origin_of("norm_eps"), flag="--norm-eps"),
        Fact.of("strides of the stages", "4, 2, 2, 2", Origin("names", "what every mix transformer has")),
    )
    return [
        Candidate(
            name=f"mix_transformer_{'-'.join(map(str, settings['depths']))}_{widths[-1]}",
            build=partial(_build, settings, activation=activation, eps=eps, eps_within=eps_within or eps),
            facts=found,
        )
    ]


def _heads(facts: Facts, widths: list[int]) -> tuple[tuple[int, ...], Origin]:
    """Return the heads of each stage: all heads of a network are as wide as the first stage's, which has one."""
    listed = facts.config.get("num_attention_heads")
    told = facts.origin_of("heads")
    if told.source != "told" and isinstance(listed, list) and _fit(listed, widths):
        return tuple(listed), Origin("recorded", "config.json: num_attention_heads")
    first = facts.heads.get(0, 1)
    wide = widths[0] // first if first > 0 else 0
    if not wide or any(width % wide for width in widths):
        raise CheckpointError(
            f"{first} heads in the first stage do not divide the stages' widths",
            found=", ".join(map(str, widths)),
            hint="--heads N, the heads of the first stage",
        )
    origin = told if told.source == "told" else Origin("assumed", f"{wide} features a head, one in the first stage")
    return tuple(width // wide for width in widths), origin


def _fit(heads: list[Any], widths: list[int]) -> bool:
    """Say whether a list that a file gives holds one possible number of heads for each stage."""
    given = [number for number in heads if isinstance(number, int) and number > 0]
    return len(given) == len(heads) == len(widths) and not any(
        width % number for number, width in zip(given, widths, strict=True)
    )


def _build(settings: Mapping[str, Any], *, activation: str, eps: float, eps_within: float) -> nn.Module:
    from timm.models.pvt_v2 import PyramidVisionTransformerV2

    from repdiag.checkpoints.architectures.activations import replace_activations

    made: Any = PyramidVisionTransformerV2
    module: nn.Module = made(num_classes=0, norm_layer=partial(nn.LayerNorm, eps=eps), **settings)
    for name, layer in module.named_modules():
        if isinstance(layer, nn.LayerNorm) and re.search(r"(attn|downsample|patch_embed)\.norm$", name):
            layer.eps = eps_within
    if activation != "gelu":
        replace_activations(module, activation)
    return module
