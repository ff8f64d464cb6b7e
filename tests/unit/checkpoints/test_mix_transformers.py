"""SegFormer's encoder and PVT v2 under four namings compute what timm's network does."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.pvt_v2 import PyramidVisionTransformerV2
from torch import Tensor, nn

from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import State, perturbed

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
_OLD = (
    (r"stages\.(\d)\.blocks\.", r"encoder.block.\1."),
    (r"stages\.(\d)\.norm\.", r"encoder.layer_norm.\1."),
    (r"stages\.(\d)\.downsample\.norm", r"encoder.patch_embeddings.\1.layer_norm"),
    (r"stages\.(\d)\.downsample", r"encoder.patch_embeddings.\1"),
    (r"\.norm([12])\.", r".layer_norm_\1."),
    (r"\.attn\.(sr)\.", r".attention.self.\1."),
    (r"\.attn\.norm\.", ".attention.self.layer_norm."),
    *((rf"\.attn\.{name[0]}\.", f".attention.self.{name}.") for name in ("query", "key", "value")),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.fc([12])\.", r".dense\1."),
)
_NEW = (
    (r"(stages\.\d)\.norm\.", r"\1.layer_norm."),
    (r"(stages\.\d)\.downsample\.norm", r"\1.patch_embeddings.layer_norm"),
    (r"(stages\.\d)\.downsample", r"\1.patch_embeddings"),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.sr\.", ".attention.sequence_reduction.sequence_reduction."),
    (r"\.attn\.norm\.", ".attention.sequence_reduction.layer_norm."),
    (r"\.attn\.([qkv])\.", r".attention.\1_proj."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
)
_PVT = (
    (r"stages\.(\d)\.norm\.", r"encoder.layers.\1.layer_norm."),
    (r"stages\.(\d)\.downsample\.norm", r"encoder.layers.\1.patch_embedding.layer_norm"),
    (r"stages\.(\d)\.downsample", r"encoder.layers.\1.patch_embedding"),
    (r"stages\.(\d)\.", r"encoder.layers.\1."),
    (r"\.norm([12])\.", r".layer_norm_\1."),
    (r"\.attn\.sr\.", ".attention.spatial_reduction."),
    (r"\.attn\.norm\.", ".attention.layer_norm."),
    *((rf"\.attn\.{name[0]}\.", f".attention.{name}.") for name in ("query", "key", "value")),
    (r"\.attn\.proj\.", ".attention.proj."),
    (r"\.fc([12])\.", r".dense\1."),
)
# The names, the epsilon of the norms of blocks and stages, and that of the norms within.
NAMINGS: dict[str, tuple[tuple[tuple[str, str], ...], float, float]] = {
    "original": ((), 1e-6, 1e-5),
    "segformer": (_NEW, 1e-5, 1e-5),
    "segformer-transformers-4": (_OLD, 1e-5, 1e-5),
    "pvt": (_PVT, 1e-6, 1e-6),
}


def network() -> Any:
    torch.manual_seed(0)
    made: Any = PyramidVisionTransformerV2
    return perturbed(
        made(
            depths=(1, 2, 1, 1), embed_dims=(16, 32, 48, 64), num_heads=(1, 2, 3, 4), sr_ratios=(8, 4, 2, 1),
            mlp_ratios=(4.0, 3.0, 2.0, 4.0), num_classes=0, norm_layer=partial(nn.LayerNorm, eps=1e-6),
        ),
        0,
    )  # fmt: skip


def named(state: State, naming: str) -> State:
    """Return the network's tensors under the names of one of the codes that save such networks."""
    found: State = {}
    for name, value in state.items():
        new = name.replace(".dwconv.", ".dwconv.dwconv.").replace("patch_embed.", "stages.0.downsample.")
        if naming == "original":
            _, stage, layer, *rest = new.split(".")
            layer = {"downsample": "patch_embed", "blocks": "block"}.get(layer, layer)
            found[".".join((f"{layer}{int(stage) + 1}", *rest))] = value
            continue
        pairs = zip("kv", value.chunk(2), strict=True) if ".attn.kv." in new else [("", value)]
        for part, tensor in pairs:
            wanted = new.replace(".kv.", f".{part}.")
            for pattern, replacement in NAMINGS[naming][0]:
                wanted = re.sub(pattern, replacement, wanted)
            found[wanted] = tensor
    return found


@pytest.mark.parametrize("owner", ["", "model.encoder."])
@pytest.mark.parametrize("naming", NAMINGS)
def test_features_are_those_of_the_network(naming: str, owner: str, tmp_path: Path) -> None:
    wanted = network()
    _, eps, within = NAMINGS[naming]
    for name, layer in wanted.named_modules():
        if isinstance(layer, nn.LayerNorm):
            layer.eps = within if re.search(r"(attn|downsample|patch_embed)\.norm$", name) else eps
    tree = {owner + name: value for name, value in named(wanted.state_dict(), naming).items()}
    torch.save({"state_dict": tree | {"decode_head.weight": torch.zeros(3, 64)}}, tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth", image_size=64)
    assert apart(encoder(IMAGES), wanted(IMAGES)) < 1e-5
    assert any("attention heads of the stages 1, 2, 3, 4 (--heads)" in note for note in encoder.info.notes)


def test_heads_are_those_of_the_first_stage(tmp_path: Path) -> None:
    wanted = network()
    torch.save(named(wanted.state_dict(), "original"), tmp_path / "file.pth")
    for stage, heads in zip(wanted.stages, (2, 4, 6, 8), strict=True):
        for block in stage.blocks:
            block.attn.num_heads, block.attn.head_dim, block.attn.scale = heads, 8, 8**-0.5
    told = load_encoder(tmp_path / "file.pth", image_size=64, heads=2)
    assert apart(told(IMAGES), wanted(IMAGES)) < 1e-5
    with pytest.raises(CheckpointError, match="do not divide"):
        load_encoder(tmp_path / "file.pth", heads=5)


def apart(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())
