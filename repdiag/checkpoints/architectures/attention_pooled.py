"""OpenCLIP's image transformers with an attention pooling (CoCa): learned queries look at all tokens, the first counts.

The norm and the projection come after the pooling, in its width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.transformers import transformer_candidates
from repdiag.checkpoints.facts import Fact, Origin, recorded
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.shapes import Float

_HEADS = 8  # in all configs that OpenCLIP ships
_AFTER = ("attn_pool.", "attn_norm.", "head.")


def attention_pooled_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one transformer with an attention pooling that has tensors of these shapes."""
    before = {name: value for name, value in state.items() if not name.startswith(_AFTER)}
    query = state["attn_pool.query"]
    told = facts.config.get("attn_pooler_heads")
    heads = told if isinstance(told, int) and 0 < told <= 1024 else _HEADS
    if query.ndim != 2 or query.shape[1] % heads:
        return []
    where = recorded("open_clip_config.json: vision_cfg") if told == heads else Origin("family", "OpenCLIP's default")
    shapes = {name: value.shape for name, value in state.items() if name.startswith(_AFTER)}
    mean = facts.pool == "mean" and facts.origin_of("pool").source in ("told", "recorded")
    pooled = "mean of the attention pooling" if mean else "first query of the attention pooling"
    found = []
    for plain in transformer_candidates(before, replace(facts, project=False, pool="token", pool_first=False)):
        kept = [fact for fact in plain.facts if fact.name != "pooling"]
        more = (
            Fact.of("pooling", pooled, Origin("tensors", "attn_pool"), flag="--pool"),
            Fact.of("heads of the attention pooling", heads, where),
        )
        build = partial(_build, plain.build, shapes, heads=heads, mean=mean)
        layer = ("projected " if facts.project and "head.weight" in state else "") + pooled
        found.append(replace(plain, build=build, layer=layer, facts=(*kept, *more)))
    return found


class _Pooler(nn.Module):
    def __init__(self, queries: int, width: int, inner: int, *, heads: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))
        self.attn = nn.MultiheadAttention(width, heads, kdim=inner, vdim=inner, batch_first=True)
        self.ln_q, self.ln_k = nn.LayerNorm(width), nn.LayerNorm(inner)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B Q P"]:
        """Return what each query sees."""
        keys = self.ln_k(tokens)
        queries = self.ln_q(self.query).expand(len(tokens), -1, -1)
        found: Tensor = self.attn(queries, keys, keys, need_weights=False)[0]
        return found


def _forward_head(self: Any, x: Tensor, pre_logits: bool = False) -> Tensor:
    """Return the features of one query, or the mean of all, projected."""
    del pre_logits
    pooled = self.attn_norm(self.attn_pool(x))
    found: Tensor = self.head(pooled.mean(1) if self.mean else pooled[:, 0])
    return found


def _build(
    plain: Callable[[], nn.Module], shapes: Mapping[str, torch.Size], *, heads: int, mean: bool
) -> nn.Module:  # fmt: skip
    module: Any = plain()
    # A copy keeps its class, where a method put on the module would go on to use the original's tensors.
    module.__class__ = type("AttentionPooled", (type(module),), {"forward_head": _forward_head})
    queries, width = shapes["attn_pool.query"]
    module.mean = mean
    module.attn_pool = _Pooler(queries, width, module.embed_dim, heads=heads)
    module.attn_norm = nn.LayerNorm(width)
    if "head.weight" in shapes:
        module.head = nn.Linear(shapes["head.weight"][1], shapes["head.weight"][0], bias="head.bias" in shapes)
    built: nn.Module = module
    return built
