"""BEiT and Data2Vec (vision) under timm's names: relative position biases of each block, or shared ones."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.architectures.activations import replace_activations
from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts

_BLOCK = re.compile(r"blocks\.(\d+)\.attn\.qkv\.weight$")
_OWN, _SHARED = "blocks.0.attn.relative_position_bias_table", "rel_pos_bias.relative_position_bias_table"
_EXTRA = 3  # distances between the class token and the patches, and to itself


def beit_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one network that has tensors of these shapes."""
    stem, wide = state.get("patch_embed.proj.weight"), state.get("blocks.0.mlp.fc1.weight")
    blocks = [int(match[1]) for match in map(_BLOCK.match, state) if match]
    if stem is None or stem.ndim != 4 or wide is None or not blocks:
        return []
    width, patch = stem.shape[0], stem.shape[-1]
    side, origin = _side(state, facts, patch)
    if side is None:
        return []
    table = state.get(_OWN, state.get(_SHARED))
    heads = table.shape[1] if table is not None else facts.heads.get(0, width // 64)
    after_pooling = "fc_norm.weight" in state
    pool, pool_origin = _pool(state, facts, after_pooling=after_pooling)
    eps, eps_origin = (facts.norm_eps, facts.origin_of("norm_eps")) if facts.norm_eps else (1e-6, ASSUMED)
    activation = facts.activation or "gelu"
    settings: dict[str, Any] = {
        "img_size": side * patch,
        "patch_size": patch,
        "embed_dim": width,
        "depth": max(blocks) + 1,
        "num_heads": heads,
        "qkv_bias": "blocks.0.attn.q_bias" in state,
        "mlp_ratio": (wide.shape[0] + 0.5) / width,
        "init_values": 0.1 if "blocks.0.gamma_1" in state else None,
        "use_abs_pos_emb": "pos_embed" in state,
        "use_rel_pos_bias": _OWN in state,
        "use_shared_rel_pos_bias": _SHARED in state,
        "global_pool": "avg" if pool == "mean" else "token",
        "use_fc_norm": after_pooling,
    }
    heads_origin = Origin("tensors", "relative_position_bias_table") if table is not None else facts.origin_of("heads")
    layer = "mean of patch tokens" if pool == "mean" else "class token"
    found = (
        Fact.of("attention heads", heads, heads_origin),
        Fact.of("pooling", layer, pool_origin, flag="--pool"),
        Fact.of("activation", activation, facts.origin_of("activation"), flag="--activation"),
        Fact.of("layer norm epsilon", f"{eps:g}", eps_origin, flag="--norm-eps"),
    )
    build = partial(_build, settings, activation=activation, eps=eps, normed=after_pooling or "norm.weight" in state)
    name = f"beit_d{width}_depth{settings['depth']}_patch{patch}"
    return [
        Candidate(name=name, build=build, layer=layer, image_size=side * patch, image_size_origin=origin, facts=found)
    ]


def _side(state: Mapping[str, Tensor], facts: Facts, patch: int) -> tuple[int | None, Origin]:
    """Return the patches along a side, from the relative positions, the absolute ones or the settings."""
    table, position = state.get(_OWN, state.get(_SHARED)), state.get("pos_embed")
    if table is not None:
        root = math.isqrt(max(table.shape[0] - _EXTRA, 0))
        return ((root + 1) // 2 if root * root + _EXTRA == table.shape[0] else None), Origin(
            "tensors", "relative_position"
        )
    if position is not None and position.ndim == 3:
        side = math.isqrt(position.shape[1] - 1)
        return (side if side * side + 1 == position.shape[1] else None), Origin("tensors", "pos_embed")
    size = facts.config.get("image_size")
    if isinstance(size, int) and 0 < size <= 2048:
        return size // patch, Origin("recorded", "config.json: image_size")
    return 224 // patch, ASSUMED


def _pool(state: Mapping[str, Tensor], facts: Facts, *, after_pooling: bool) -> tuple[str, Origin]:
    if facts.pool in ("token", "mean") and facts.origin_of("pool").source == "told":
        return facts.pool, facts.origin_of("pool")
    if after_pooling:
        return "mean", Origin("tensors", "the norm after the pooling")
    if "norm.weight" in state:
        return "token", Origin("tensors", "the norm before the pooling")
    return "mean", Origin("assumed", "there is no norm at all")


def _build(settings: Mapping[str, Any], *, activation: str, eps: float, normed: bool) -> nn.Module:
    from timm.models.beit import Beit

    made: Any = Beit
    module: Any = made(num_classes=0, norm_layer=partial(nn.LayerNorm, eps=eps), **settings)
    replace_activations(module, activation)
    if not normed:
        module.norm = module.fc_norm = nn.Identity()
    built: nn.Module = module
    return built
