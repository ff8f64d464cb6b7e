"""Vision transformers with the names of timm: width, depth, patch and grid are read from the tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.patch_stems import PatchStem, patch_stem
from repdiag.checkpoints.architectures.position_embeddings import add_resampling
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError

_BLOCK = re.compile(r"blocks\.(\d+)\.attn\.qkv\.weight$")
_PLAIN = re.compile(r"blocks\.\d+\.((norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)|ls[12]\.gamma)$")
_SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge", 1536: "giant"}
_WIDER = {1152: 16, 1280: 16, 1408: 16, 1664: 16}  # SO400M, ViT-H, g and G: 16 heads, wider than the usual 64
_POOLS = {"token": "token", "mean": "avg", "projection": "token"}
_LAYERS = {"token": "class token", "mean": "mean of patch tokens", "projection": "projected class token"}


def transformer_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one plain vision transformer that has tensors of these shapes; none for other names."""
    stem, position = patch_stem(state), state.get("pos_embed")
    blocks = [int(match[1]) for match in map(_BLOCK.match, state) if match]
    if stem is None or position is None or position.ndim != 3 or not blocks:
        return []
    width, depth, size = stem.width, max(blocks) + 1, stem.patch_size
    has_token = "cls_token" in state
    side = math.isqrt(position.shape[1] - has_token)
    if side * side + has_token != position.shape[1]:
        return []
    heads, assumed = _heads(state, facts, width)
    # A normalisation after pooling belongs to the mean of the patches (MAE fine-tuned, iBOT, timm); it replaces `norm`.
    averages = not has_token or ("fc_norm.weight" in state and "norm.weight" not in state)
    pool = facts.pool if facts.pool and not averages else ("mean" if averages else "token")
    if pool == "projection" and "head.weight" not in state:
        pool = "token"
    first, last = _mlp(state, depth)
    if first is None or last is None:
        return []
    hidden, packed = last.shape[1], first.shape[0] == 2 * last.shape[1]
    settings: dict[str, Any] = {
        "img_size": side * size,
        "patch_size": size,
        "embed_dim": width,
        "depth": depth,
        "num_heads": heads,
        "mlp_ratio": (2 if packed else 1) * hidden / width,
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
        "init_values": 1.0 if "blocks.0.ls1.gamma" in state else None,
        "class_token": has_token,
        "reg_tokens": state["reg_token"].shape[1] if "reg_token" in state else 0,
        "pre_norm": "norm_pre.weight" in state,
        "final_norm": "norm.weight" in state or "fc_norm.weight" in state,
        "fc_norm": "fc_norm.weight" in state,
        "global_pool": _POOLS[pool],
        "num_classes": state["head.weight"].shape[0] if pool == "projection" else 0,
    }
    build = partial(
        _build,
        settings,
        resample=facts.resample or "antialiased",
        stem=stem,
        packed=packed,
        eps=facts.norm_eps or (1e-5 if "norm_pre.weight" in state else 1e-6),  # only CLIP's have a norm before
        activation=facts.activation or "gelu",
    )
    if not facts.resample:
        assumed += ("position embeddings resized with antialiasing at other sizes",)
    return [
        Candidate(
            name=_name(stem, depth),
            build=build,
            layer=_LAYERS[pool],
            image_size=side * size,
            assumptions=assumed,
        )
    ]


def has_other_layers(state: Mapping[str, Tensor]) -> bool:
    """Say whether a transformer's blocks have more in them than a plain one's, as EVA's and BEiT's do."""
    return any(name.startswith("blocks.") and not _PLAIN.match(name) for name in state)


def _name(stem: PatchStem, depth: int) -> str:
    size = _SIZES.get(stem.width, f"d{stem.width}")
    if stem.strided:  # in the place of the first block
        return f"vit_conv_{size}" + ("" if depth == 11 else f"_depth{depth}")
    return f"vit_{size}_patch{stem.patch_size}" + ("" if depth == 12 else f"_depth{depth}")


def _heads(state: Mapping[str, Tensor], facts: Facts, width: int) -> tuple[int, tuple[str, ...]]:
    """Return the number of attention heads: the family's, else that of fixed sin-cos files, else the usual width.

    The usual width of a head is 64; networks narrower than ViT-Ti (192), all of them made for tests, use 32.
    """
    if width in facts.heads or 0 in facts.heads:
        given = facts.heads.get(width, facts.heads.get(0, 0))
        if given < 1 or width % given:
            raise CheckpointError(
                f"a transformer of width {width} cannot have {given} attention heads",
                hint="--heads N, where N divides the width",
            )
        return given, ()
    if width == 384 and _is_sincos(state["pos_embed"]):
        return 12, ("12 heads, as MoCo v3's ViT-S: the position embeddings are its fixed sin-cos ones",)
    usual = width // _WIDER[width] if width in _WIDER else 64 if width >= 192 else 32
    if width % usual:
        raise CheckpointError(
            f"the number of attention heads cannot be read from a transformer of width {width}",
            hint="give it with --heads N",
        )
    count = width // usual
    return count, (f"{count} attention heads of {usual} features are assumed; --heads N if it was made otherwise",)


def _is_sincos(position: Tensor) -> bool:
    """Say whether patch position embeddings are built of sines and cosines of unit amplitude."""
    quarter = position.shape[2] // 4
    patches = position[0, 1:].float()
    one, two = patches[:, :quarter], patches[:, quarter : 2 * quarter]
    return bool(torch.allclose(one.square() + two.square(), torch.ones_like(one), atol=1e-2))


def _mlp(state: Mapping[str, Tensor], depth: int) -> tuple[Tensor | None, Tensor | None]:
    """Return the weights of a block's two linear layers, of the first block that has both."""
    for block in range(depth):
        found = [state.get(f"blocks.{block}.mlp.{layer}.weight") for layer in ("fc1", "fc2")]
        if all(weight is not None and weight.ndim == 2 for weight in found):
            return found[0], found[1]
    return None, None


def _build(
    settings: Mapping[str, Any], *, resample: str, stem: PatchStem, packed: bool, eps: float, activation: str
) -> nn.Module:
    from timm.layers.activations import QuickGELU
    from timm.layers.mlp import SwiGLUPacked
    from timm.models.vision_transformer import VisionTransformer

    options: dict[str, Any] = {"norm_layer": partial(nn.LayerNorm, eps=eps), "dynamic_img_size": True}
    if packed:
        options |= {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
    elif activation == "quick_gelu":
        options["act_layer"] = QuickGELU
    module = VisionTransformer(**settings, **options)
    strided = stem.build()
    if strided is not None:
        module.patch_embed.proj = strided
    elif stem.bias and module.patch_embed.proj.bias is None:
        module.patch_embed.proj.bias = nn.Parameter(torch.zeros(settings["embed_dim"]))
    if settings["num_classes"]:
        module.head = nn.Linear(settings["embed_dim"], settings["num_classes"], bias=False)
    built: nn.Module = add_resampling(module, resample)
    return built
