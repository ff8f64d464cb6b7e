"""DINOv3's vision transformers under timm's names: rotary positions, registers, layer scale, any image size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.architectures.activations import replace_activations
from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin
from repdiag.checkpoints.formats.format import Facts

_BLOCK = re.compile(r"blocks\.(\d+)\.attn\.qkv\.weight$")
_SIZES = {384: "small", 768: "base", 1024: "large", 1280: "huge_plus", 4096: "7b"}
_HEADS = {4096: 32}  # all others have 64 features a head
_TEMPERATURE = 100.0
_POOLS = {"token": "token", "mean": "avg"}


def dinov3_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one transformer that has tensors of these shapes."""
    stem = state.get("patch_embed.proj.weight")
    blocks = [int(match[1]) for match in map(_BLOCK.match, state) if match]
    down = state.get("blocks.0.mlp.fc2.weight")
    if stem is None or stem.ndim != 4 or not blocks or down is None:
        return []
    width = stem.shape[0]
    heads = facts.heads.get(0, facts.heads.get(width, _HEADS.get(width, width // 64)))
    if heads < 1 or width % heads:
        return []
    theta = facts.config.get("rope_theta")
    theta = facts.config["rope_parameters"].get("rope_theta") if _has_rope(facts) else theta
    pool = facts.pool if facts.pool in _POOLS else "token"
    eps = facts.norm_eps or 1e-5
    gated = "blocks.0.mlp.fc1_g.weight" in state
    activation = facts.activation or ("silu" if gated else "gelu")
    settings: dict[str, Any] = {
        "img_size": 256,
        "patch_size": stem.shape[-1],
        "embed_dim": width,
        "depth": max(blocks) + 1,
        "num_heads": heads,
        "qkv_bias": "blocks.0.attn.q_bias" in state,
        "mlp_ratio": (down.shape[1] + 0.5) / width,
        "swiglu_mlp": gated,
        "swiglu_align_to": 8 if down.shape[1] % 8 == 0 else 1,  # with which timm keeps gate and value apart
        "init_values": 1e-5 if "blocks.0.gamma_1" in state else None,
        "num_reg_tokens": state["reg_token"].shape[1] if "reg_token" in state else 0,
        "rope_temperature": float(theta) if isinstance(theta, int | float) and 1 < theta < 1e6 else _TEMPERATURE,
        "global_pool": _POOLS[pool],
    }
    layer = "class token" if pool == "token" else "mean of patch tokens"
    pooled = facts.origin_of("pool")
    found = (
        Fact.of("attention heads", heads, facts.origin_of("heads"), flag="--heads"),
        Fact.of("pooling", layer, pooled, flag="--pool"),
        Fact.of("activation", activation, facts.origin_of("activation"), flag="--activation"),
        Fact.of("layer norm epsilon", f"{eps:g}", facts.origin_of("norm_eps"), flag="--norm-eps"),
        Fact.of("rotary base", settings["rope_temperature"], Origin("family", "DINOv3's positions")),
    )
    name = f"vit_{_SIZES.get(width, f'd{width}')}_patch{settings['patch_size']}_dinov3"
    return [
        Candidate(name=name, build=partial(_build, settings, activation=activation, eps=eps), layer=layer, facts=found)
    ]


def _has_rope(facts: Facts) -> bool:
    return isinstance(facts.config.get("rope_parameters"), Mapping)


def _build(settings: Mapping[str, Any], *, activation: str, eps: float) -> nn.Module:
    from timm.models.eva import Eva

    made: Any = Eva
    module: nn.Module = made(
        num_classes=0,
        rope_type="dinov3",
        rope_rotate_half=True,
        use_rot_pos_emb=True,
        use_abs_pos_emb=False,
        use_fc_norm=False,
        dynamic_img_size=True,
        norm_layer=partial(nn.LayerNorm, eps=eps),
        **settings,
    )
    replace_activations(module, activation)
    return module
