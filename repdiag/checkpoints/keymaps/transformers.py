"""Vision transformers under other names than timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from repdiag.checkpoints.architectures.attention_pooled import attention_pooled_candidates
from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.lucidrains_vit import lucidrains_candidates
from repdiag.checkpoints.architectures.transformers import transformer_candidates
from repdiag.checkpoints.architectures.vit_pytorch import vit_pytorch_candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.keymaps.keymap import Keymap, State
from repdiag.checkpoints.keymaps.renaming import all_names, any_name, by_patterns

_OPEN_CLIP = by_patterns(
    (r"^class_embedding", "cls_token"),
    (r"^positional_embedding", "pos_embed"),
    (r"^conv1\.", "patch_embed.proj."),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^proj$", "head.weight"),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.ls_([12])\.gamma$", r".ls\1.gamma"),
    (r"^(blocks\.\d+)\.attn\.in_proj_", r"\1.attn.qkv."),
    (r"^(blocks\.\d+)\.attn\.out_proj\.", r"\1.attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)


def _open_clip(state: Mapping[str, Tensor]) -> State:
    renamed = _OPEN_CLIP(state)
    renamed["cls_token"] = renamed["cls_token"].reshape(1, 1, -1)
    renamed["pos_embed"] = renamed["pos_embed"][None]
    if "head.weight" in renamed:
        renamed["head.weight"] = renamed["head.weight"].T
    if "attn_pool.query" in renamed:  # whose norm comes after the pooling, and has its width
        renamed = {re.sub(r"^norm\.", "attn_norm.", name): value for name, value in renamed.items()}
    return renamed


def _open_clip_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    if "attn_pool.query" in state:
        return attention_pooled_candidates(state, facts)
    return transformer_candidates(state, facts)


_DINOV2 = (
    (r"^register_tokens", "reg_token"),
    (r"\.mlp\.w12\.", ".mlp.fc1."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)

OPEN_CLIP = Keymap(
    name="OpenCLIP's image transformer",
    applies=lambda state: all_names(state, ["class_embedding", r"transformer\.resblocks\.0\.attn\.in_proj_weight"]),
    convert=_open_clip,
    facts={"project": True},
    candidates=_open_clip_candidates,
)
DINOV2_CHUNKS = Keymap(
    name="DINOv2 with its blocks in chunks",
    applies=lambda state: any_name(state, r"blocks\.\d+\.\d+\.norm1\.") and "pos_embed" in state,
    convert=by_patterns((r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."), *_DINOV2),
)
DINOV2 = Keymap(
    name="DINOv2",
    applies=lambda state: "register_tokens" in state or any_name(state, r"blocks\.0\.mlp\.w12\."),
    convert=by_patterns(*_DINOV2),
)
_TORCHVISION = (
    (r"^class_token", "cls_token"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.pos_embedding", "pos_embed"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
    (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
    (r"^encoder\.ln\.", "norm."),
)


def _torchvision_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the network under torchvision's own name, at the image size that its position embeddings are for."""
    found = transformer_candidates(state, facts)
    return [replace(item, name=_TORCHVISION_NAMES.get(item.name, item.name)) for item in found]


_TORCHVISION_NAMES = {
    "vit_base_patch16": "torchvision:vit_b_16",
    "vit_base_patch32": "torchvision:vit_b_32",
    "vit_large_patch16_depth24": "torchvision:vit_l_16",
    "vit_large_patch32_depth24": "torchvision:vit_l_32",
    "vit_huge_patch14_depth32": "torchvision:vit_h_14",
}
TORCHVISION = Keymap(
    name="torchvision's vision transformer",
    applies=lambda state: all_names(
        state,
        ["class_token", r"conv_proj\.weight", r"encoder\.layers\.encoder_layer_0\.self_attention\.in_proj_weight"],
    ),
    convert=by_patterns(*_TORCHVISION),
    facts={"heads": {768: 12, 1024: 16, 1280: 16}, "norm_eps": 1e-6, "resample": "corners"},
    candidates=_torchvision_candidates,
)
VISSL = Keymap(
    name="VISSL's early vision transformer",
    applies=lambda state: all_names(
        state, ["class_token", "pos_embedding", r"patch_embed\.proj\.", r"blocks\.0\.attn\."]
    ),
    convert=by_patterns((r"^class_token", "cls_token"), (r"^pos_embedding", "pos_embed")),
    facts={"norm_eps": 1e-5, "resample": "scaled"},
)
LUCIDRAINS = Keymap(
    name="vit-pytorch (ssl-small's vit_tiny)",
    applies=lambda state: all_names(
        state, [r"to_patch_embedding\.1\.weight", r"transformer\.layers\.0\.0\.fn\.to_qkv\.", r"mlp_head\.0\."]
    ),
    convert=by_patterns((r"^mlp_head\.1\.", "fc.")),
    candidates=lucidrains_candidates,
)
_VIT_PYTORCH = by_patterns((r"^(mlp_head|linear_head)\.", "fc."))


def _vit_pytorch(state: Mapping[str, Tensor]) -> State:
    """Rename; older versions keep a first dimension of one in the class token and the position embeddings."""
    renamed = _VIT_PYTORCH(state)
    free = ("cls_token", "pos_embedding")
    return {
        name: value.reshape(-1, value.shape[-1]) if name in free and value.ndim == 3 else value
        for name, value in renamed.items()
    }


VIT_PYTORCH = Keymap(
    name="vit-pytorch, since 2022",
    applies=lambda state: all_names(
        state,
        [r"to_patch_embedding\.2\.weight", r"to_patch_embedding\.3\.weight", r"transformer\.layers\.0\.0\.to_qkv\."],
    ),
    convert=_vit_pytorch,
    candidates=vit_pytorch_candidates,
)
MM = Keymap(
    name="MMPretrain's vision transformer",
    applies=lambda state: all_names(state, [r"layers\.0\.attn\.qkv\.", r"patch_embed\.projection\."]),
    convert=by_patterns(
        (r"^patch_embed\.projection\.", "patch_embed.proj."),
        (r"^layers\.", "blocks."),
        (r"^ln1\.", "norm."),
        (r"\.ln([12])\.", r".norm\1."),
        (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
        (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
    ),
)
