"""Vision transformers with the names of timm: width, depth, patch and grid are read from the tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.activations import activation_layer
from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.patch_stems import PatchStem, patch_stem
from repdiag.checkpoints.architectures.position_embeddings import Grid, add_resampling, grid_of
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError

_BLOCK = re.compile(r"blocks\.(\d+)\.attn\.qkv\.weight$")
_PLAIN = re.compile(r"blocks\.\d+\.((norm[12]|attn\.(qkv|proj|[qk]_norm)|mlp\.fc[12])\.(weight|bias)|ls[12]\.gamma)$")
_GROUP = re.compile(r"patch_embed\.(\d+)\.proj\.weight")
_SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge", 1536: "giant"}
_WIDER = {1152: 16, 1280: 16, 1408: 16, 1664: 16}  # SO400M, ViT-H, g and G: 16 heads, wider than the usual 64
_POOLS = {"token": "token", "mean": "avg", "max": "max", "mean+max": "avgmax", "map": "map"}
_LAYERS = {
    "token": "class token",
    "mean": "mean of patch tokens",
    "max": "maximum of patch tokens",
    "mean+max": "mean of the average and the maximum of patch tokens",
    "map": "attention pooling of patch tokens",
}
# Sides of square images that people train at; a square number of patches from another side may as well be a rectangle.
_USUAL_SIDES = frozenset((28, 32, 64, 96, 98, 112, 128, 160, 224, 256, 336, 378, 384, 448, 512, 518))


@dataclass(frozen=True, kw_only=True)
class _Transformer:
    """All that makes up one vision transformer."""

    stem: PatchStem
    grid: Grid
    depth: int
    heads: int
    hidden: int
    packed: bool
    pool: str
    eps: float
    activation: str
    resample: str
    project: bool
    norm_after_pool: bool


def transformer_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one plain vision transformer that has tensors of these shapes; none for other names."""
    stem, position = patch_stem(state), state.get("pos_embed")
    blocks = [int(match[1]) for match in map(_BLOCK.match, state) if match]
    if stem is None or position is None or position.ndim != 3 or not blocks:
        return []
    depth = max(blocks) + 1
    grid = _grid(state, position.shape[1], stem.patch_size, told=facts.grid)
    first, last = _mlp(state, depth)
    if grid is None or first is None or last is None:
        return []
    heads, heads_origin = _heads(state, facts, stem.width)
    pool, pool_origin = _pool(state, facts)
    eps, eps_origin = _eps(state, facts)
    packed = first.shape[0] == 2 * last.shape[1]
    shape = _Transformer(
        stem=stem,
        grid=grid,
        depth=depth,
        heads=heads,
        hidden=last.shape[1],
        packed=packed,
        pool=pool,
        eps=eps,
        activation=_activation(facts, packed=packed),
        resample=facts.resample or "antialiased",
        project=facts.project and "head.weight" in state,
        norm_after_pool="fc_norm.weight" in state,
    )
    side, proven = _side_of(shape)
    gated = Origin("tensors", "a gated MLP, whose gates are SiLU") if packed else None
    said = facts.origin_of("activation")
    found = (
        Fact.of("attention heads", heads, heads_origin, flag="--heads"),
        Fact.of("pooling", _layer(shape), pool_origin, flag="--pool"),
        Fact.of(
            "activation",
            shape.activation,
            gated if gated and said.source != "told" else said,
            flag="--activation",
        ),
        Fact.of("layer norm epsilon", f"{eps:g}", eps_origin, flag="--norm-eps"),
        Fact.of("patch grid", f"{grid.rows} x {grid.columns}", _grid_origin(shape, facts), flag="--grid"),
        Fact.of(
            "position embeddings at other sizes", shape.resample, _origin(facts, "resample"), flag="--resample"
        ),
    )  # fmt: skip
    return [
        Candidate(
            name=_name(stem, depth),
            build=partial(_build, shape, _shapes_that_matter(state)),
            layer=_layer(shape),
            image_size=side,
            image_size_origin=Origin("tensors", proven) if proven else None,
            facts=found,
        )
    ]


def why_no_grid(state: Mapping[str, Tensor]) -> str | None:
    """Say what is odd where a transformer's position embeddings are not a square of patches."""
    stem, position = patch_stem(state), state.get("pos_embed")
    if stem is None or position is None or position.ndim != 3:
        return None
    tokens = int("cls_token" in state)
    if _grid(state, position.shape[1], stem.patch_size) is not None:
        return None
    patches = position.shape[1] - tokens
    ways = [f"{rows},{patches // rows}" for rows in range(2, patches) if rows * rows < patches and patches % rows == 0]
    shown = f", such as --grid {ways[-1]}" if ways else ""
    return f"{patches} patches are not a square: say how they lie with --grid ROWS,COLUMNS{shown}"


def why_no_patches(state: Mapping[str, Tensor]) -> str | None:
    """Say what is odd where a transformer cuts its images into patches in a way that is not read here."""
    groups = {match[1]: value for name, value in state.items() if (match := _GROUP.fullmatch(name))}
    if len(groups) > 1:
        channels = ", ".join(str(value.shape[1]) for value in groups.values() if value.ndim == 4)
        return (
            f"the patches are made of {len(groups)} groups of channels ({channels}), each with tokens of its own "
            "(as SatMAE's): --backbone your_file.py:function with its forward"
        )
    stem = next((state[name] for name in ("patch_embed.proj.weight",) if name in state), None)
    if stem is not None and stem.ndim == 5:
        return "the patches are of videos or volumes: --backbone your_file.py:function with its forward"
    return None


def _grid(
    state: Mapping[str, Tensor], positions: int, patch: int, *, told: tuple[int, int] | None = None
) -> Grid | None:  # fmt: skip
    """Return the grid of patches. One that no class token's embedding stands before is believed at usual sizes only.

    As n (n + 2) + 1 is a square, a rectangle of patches and a class token may look like a square without one.
    """
    tokens = int("cls_token" in state)
    grid = grid_of(positions, class_tokens=tokens, registers=_registers(state), told=told)
    odd = grid is not None and told is None and grid.before != tokens and grid.rows * patch not in _USUAL_SIDES
    return None if odd else grid


def _activation(facts: Facts, *, packed: bool) -> str:
    """Return the activation; what is recorded of other layers does not concern the gates of a gated MLP."""
    if packed and facts.origin_of("activation").source != "told":
        return "silu"
    return facts.activation or "gelu"


def _registers(state: Mapping[str, Tensor]) -> int:
    return state["reg_token"].shape[1] if "reg_token" in state else 0


def _shapes_that_matter(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """Return the shapes that decide which optional layers a transformer has, so that a build keeps no tensors alive."""
    matter = (name for name in state if not name.startswith("blocks.") or name.startswith("blocks.0."))
    return {name: state[name].shape for name in matter}


def _origin(facts: Facts, name: str, proof: Origin | None = None) -> Origin:
    return proof if proof and getattr(facts, name) is None else facts.origin_of(name)


def _grid_origin(shape: _Transformer, facts: Facts) -> Origin:
    if facts.grid is not None:
        return facts.origin_of("grid")
    return Origin("tensors", "pos_embed") if _side_of(shape)[1] else Origin("assumed", "a square")


def _side_of(shape: _Transformer) -> tuple[int, str]:
    """Return the side of the square image of as many patches, and the tensor that proves it, if it does."""
    grid, patch = shape.grid, shape.stem.patch_size
    side = round((grid.rows * grid.columns) ** 0.5) * patch
    proven = grid.rows == grid.columns and side in _USUAL_SIDES
    return side, "pos_embed" if proven else ""


def _pool(state: Mapping[str, Tensor], facts: Facts) -> tuple[str, Origin]:
    """Return what becomes of the tokens: what is told or recorded, what the layers prove, else the class token.

    A normalisation after pooling belongs to the mean of the patches (MAE fine-tuned, iBOT, timm); it replaces `norm`.
    """
    told = facts.origin_of("pool").source in ("told", "recorded")
    if "attn_pool.latent" in state and not told:
        return "map", Origin("tensors", "attn_pool")
    if facts.pool_first and facts.pool is not None:  # the norm was given its name by this very assumption
        return facts.pool, facts.origin_of("pool")
    if "fc_norm.weight" in state and "norm.weight" not in state and not (facts.pool and told):
        return "mean", Origin("tensors", "fc_norm in the place of norm")
    if "cls_token" not in state and facts.pool in (None, "token"):
        return "mean", Origin("tensors", "there is no class token")
    if facts.pool == "gem":
        raise CheckpointError("a transformer's tokens are not pooled by GeM here", hint="--pool token, mean or max")
    if facts.pool == "map" and "attn_pool.latent" not in state:
        raise CheckpointError("the file has no attention pooling", hint="--pool token, mean or max")
    return facts.pool or "token", facts.origin_of("pool")


def _eps(state: Mapping[str, Tensor], facts: Facts) -> tuple[float, Origin]:
    if facts.norm_eps is not None:
        return facts.norm_eps, facts.origin_of("norm_eps")
    if "norm_pre.weight" in state:  # only CLIP's have a norm before
        return 1e-5, Origin("tensors", "norm_pre, which only CLIP's transformers have")
    return 1e-6, ASSUMED


def _layer(shape: _Transformer) -> str:
    return ("projected " if shape.project else "") + _LAYERS[shape.pool]


def has_other_layers(state: Mapping[str, Tensor]) -> bool:
    """Say whether a transformer's blocks have more in them than a plain one's, as EVA's and BEiT's do."""
    return any(name.startswith("blocks.") and not _PLAIN.match(name) for name in state)


def _name(stem: PatchStem, depth: int) -> str:
    size = _SIZES.get(stem.width, f"d{stem.width}")
    if stem.strided:  # in the place of the first block
        return f"vit_conv_{size}" + ("" if depth == 11 else f"_depth{depth}")
    return f"vit_{size}_patch{stem.patch_size}" + ("" if depth == 12 else f"_depth{depth}")


def _heads(state: Mapping[str, Tensor], facts: Facts, width: int) -> tuple[int, Origin]:
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
        return given, facts.origin_of("heads")
    if width == 384 and _is_sincos(state["pos_embed"]):
        return 12, Origin("tensors", "the fixed sin-cos position embeddings of MoCo v3's ViT-S")
    if "blocks.0.attn.q_norm.weight" in state:
        return width // state["blocks.0.attn.q_norm.weight"].shape[0], Origin("tensors", "blocks.0.attn.q_norm")
    usual = width // _WIDER[width] if width in _WIDER else 64 if width >= 192 else 32
    if width % usual:
        raise CheckpointError(
            f"the number of attention heads cannot be read from a transformer of width {width}",
            hint="give it with --heads N",
        )
    return width // usual, Origin("assumed", f"{usual} features a head")


def _is_sincos(position: Tensor) -> bool:
    """Say whether patch position embeddings are built of sines and cosines of unit amplitude."""
    if position.shape[2] % 4 or position.is_meta:
        return False
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


def _build(shape: _Transformer, shapes: Mapping[str, torch.Size]) -> nn.Module:
    from timm.layers.mlp import Mlp, SwiGLUPacked
    from timm.models.vision_transformer import VisionTransformer

    width, grid, patch = shape.stem.width, shape.grid, shape.stem.patch_size
    made: Any = VisionTransformer  # its own types know less than it takes
    module = made(
        img_size=(grid.rows * patch, grid.columns * patch),
        patch_size=patch,
        embed_dim=width,
        depth=shape.depth,
        num_heads=shape.heads,
        mlp_ratio=((2 if shape.packed else 1) * shape.hidden + 0.5) / width,  # the half: `int` is taken of the product
        mlp_layer=SwiGLUPacked if shape.packed else Mlp,
        act_layer=activation_layer(shape.activation),
        norm_layer=partial(nn.LayerNorm, eps=shape.eps),
        qkv_bias="blocks.0.attn.qkv.bias" in shapes,
        qk_norm="blocks.0.attn.q_norm.weight" in shapes,
        init_values=1.0 if "blocks.0.ls1.gamma" in shapes else None,
        class_token="cls_token" in shapes,
        reg_tokens=shapes["reg_token"][1] if "reg_token" in shapes else 0,
        pre_norm="norm_pre.weight" in shapes,
        final_norm="norm.weight" in shapes or "fc_norm.weight" in shapes,
        fc_norm=shape.norm_after_pool,
        global_pool=_POOLS[shape.pool],
        num_classes=0,
        dynamic_img_size=True,
    )
    module.pos_embed = nn.Parameter(torch.zeros(shapes["pos_embed"]))
    stem = shape.stem.build()
    if stem is not None:
        module.patch_embed.proj = stem
    else:
        module.patch_embed.proj.bias = nn.Parameter(torch.zeros(width)) if shape.stem.bias else None
    if shape.project:
        module.head = nn.Linear(width, shapes["head.weight"][0], bias="head.bias" in shapes)
    built: nn.Module = add_resampling(module, shape.resample, grid)
    return built
