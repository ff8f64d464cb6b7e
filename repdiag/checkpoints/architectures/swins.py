"""Swin transformers under timm's names; the image size follows from the window, where no settings say it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError

_BLOCK = re.compile(r"layers\.(\d+)\.blocks\.(\d+)\.")
_TABLE = "layers.{}.blocks.0.attn.relative_position_bias_table"
_PER_WINDOW = 32  # pixels of an image for each patch of a window's side: 224 for 7, 256 for 8, 384 for 12
_SIZES = {((2, 2, 6, 2), 96): "tiny", ((2, 2, 18, 2), 96): "small", ((2, 2, 18, 2), 128): "base",
          ((2, 2, 18, 2), 192): "large"}  # fmt: skip


def swin_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one Swin transformer that has tensors of these shapes."""
    depths: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, state)):
        depths[int(match[1])] = max(depths.get(int(match[1]), 0), int(match[2]) + 1)
    stem, wide = state.get("patch_embed.proj.weight"), state.get("layers.0.blocks.0.mlp.fc1.weight")
    tables = [state.get(_TABLE.format(stage)) for stage in range(len(depths))]
    if not depths or stem is None or stem.ndim != 4 or wide is None or any(table is None for table in tables):
        return []
    positions, _ = next(table.shape for table in tables if table is not None)
    window = (math.isqrt(positions) + 1) // 2
    size, origin = _size(facts, window)
    settings: dict[str, Any] = {
        "img_size": size,
        "patch_size": stem.shape[-1],
        "embed_dim": stem.shape[0],
        "depths": tuple(depths[stage] for stage in sorted(depths)),
        "num_heads": tuple(table.shape[1] for table in tables if table is not None),
        "window_size": window,
        "mlp_ratio": wide.shape[0] / wide.shape[1],
        "qkv_bias": "layers.0.blocks.0.attn.qkv.bias" in state,
    }
    if facts.activation not in (None, "gelu"):
        raise CheckpointError(
            "a Swin transformer is read with GELU only",
            found=f"{facts.activation}",
            hint="--backbone your_file.py:function",
        )
    known = _SIZES.get((settings["depths"], settings["embed_dim"]), "-".join(map(str, settings["depths"])))
    found = (
        Fact.of("pooling", "the norm, then the mean", Origin("names", "what every Swin transformer does")),
        Fact.of("window", f"{window} x {window}", Origin("tensors", "relative_position_bias_table")),
    )
    return [
        Candidate(
            name=f"swin_{known}_patch{settings['patch_size']}_window{window}",
            build=partial(_build, settings, eps=facts.norm_eps or 1e-5),
            layer="mean of patch tokens",
            image_size=size,
            image_size_origin=origin,
            facts=found,
        )
    ]


def _size(facts: Facts, window: int) -> tuple[int, Origin]:
    size = facts.config.get("image_size")
    if isinstance(size, int) and 0 < size <= 2048:
        return size, Origin("recorded", "config.json: image_size")
    return _PER_WINDOW * window, Origin("assumed", f"as usual for windows of {window}")


def _build(settings: Mapping[str, Any], *, eps: float) -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    made: Any = SwinTransformer
    module: nn.Module = made(num_classes=0, norm_layer=partial(nn.LayerNorm, eps=eps), **settings)
    return module
