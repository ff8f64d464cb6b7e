"""OpenCLIP's image transformer with an attention pooling: the first of the learned queries, projected."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.checkpoints.load import load_encoder
from tests.unit.checkpoints.families import State, vit

WIDTH, POOLED, QUERIES, HEADS = 192, 64, 5, 8
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
_RULES = (
    (r"^blocks\.", "visual.transformer.resblocks."),
    (r"\.norm(\d)\.", r".ln_\1."),
    (r"^norm_pre\.", "visual.ln_pre."),
    (r"\.attn\.qkv\.", ".attn.in_proj_"),
    (r"\.attn\.proj\.", ".attn.out_proj."),
    (r"\.fc1\.", ".c_fc."),
    (r"\.fc2\.", ".c_proj."),
    (r"^patch_embed\.proj\.", "visual.conv1."),
    (r"^cls_token", "visual.class_embedding"),
    (r"^pos_embed", "visual.positional_embedding"),
)


def pool_tensors() -> State:
    generator = torch.Generator().manual_seed(1)
    shapes = {
        **{"query": (QUERIES, POOLED), "attn.q_proj_weight": (POOLED, POOLED), "attn.k_proj_weight": (POOLED, WIDTH)},
        **{"attn.v_proj_weight": (POOLED, WIDTH), "attn.in_proj_bias": (3 * POOLED,), "ln_q.weight": (POOLED,)},
        **{"attn.out_proj.weight": (POOLED, POOLED), "attn.out_proj.bias": (POOLED,), "ln_q.bias": (POOLED,)},
        **{"ln_k.weight": (WIDTH,), "ln_k.bias": (WIDTH,)},
    }
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def by_hand(tokens: Tensor, pool: State, after: State) -> Tensor:
    """Multi-head attention of the queries over all tokens, the norm, the first query, the projection."""
    keys = F.layer_norm(tokens, (WIDTH,), pool["ln_k.weight"], pool["ln_k.bias"])
    queries = F.layer_norm(pool["query"], (POOLED,), pool["ln_q.weight"], pool["ln_q.bias"])
    q, k, v = (
        (inputs @ pool[f"attn.{part}_proj_weight"].T + bias).unflatten(-1, (HEADS, -1)).transpose(-3, -2)
        for inputs, part, bias in zip((queries, keys, keys), "qkv", pool["attn.in_proj_bias"].chunk(3), strict=True)
    )
    weights = (q @ k.transpose(-1, -2) / (POOLED // HEADS) ** 0.5).softmax(-1)
    seen = (weights @ v).transpose(-3, -2).flatten(-2) @ pool["attn.out_proj.weight"].T + pool["attn.out_proj.bias"]
    normed = F.layer_norm(seen, (POOLED,), after["weight"], after["bias"])
    return normed[:, 0] @ after["proj"]


def test_features_are_those_of_the_first_query(tmp_path: Path) -> None:
    network: Any = vit(pre_norm=True, final_norm=False, norm_layer=partial(nn.LayerNorm, eps=1e-5))
    pool, generator = pool_tensors(), torch.Generator().manual_seed(2)
    after = {name: torch.randn(POOLED, generator=generator) for name in ("weight", "bias")}
    after["proj"] = torch.randn(POOLED, 32, generator=generator)
    state: State = {"logit_scale": torch.zeros(()), "visual.proj": after["proj"]}
    state |= {f"visual.ln_post.{name}": after[name] for name in ("weight", "bias")}
    state |= {f"visual.attn_pool.{name}": value for name, value in pool.items()}
    for name, value in network.state_dict().items():
        for pattern, replacement in _RULES:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        state[name] = value[0, 0] if "class" in name else value[0] if "positional" in name else value
    torch.save(state, tmp_path / "coca.pt")
    encoder = load_encoder(tmp_path / "coca.pt")
    wanted = by_hand(network.forward_features(IMAGES), pool, after)
    assert (encoder.info.family, encoder.info.feature_dim) == ("open_clip", 32)
    assert torch.allclose(encoder(IMAGES), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


def test_an_untrained_copy_of_a_transformer_keeps_no_trained_positions(tmp_path: Path) -> None:
    from repdiag.checkpoints.untrained import untrained_copy

    torch.save({"model": vit().state_dict()}, tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth")
    copy = untrained_copy(encoder, seed=3)
    before = copy(IMAGES)
    with torch.no_grad():
        encoder.backbone.get_submodule("trunk").pos_embed.fill_(7.0)  # type: ignore[union-attr]
    assert torch.equal(copy(IMAGES), before)
