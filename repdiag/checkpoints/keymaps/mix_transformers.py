"""Mix transformers and PVT v2 under the names of their authors (segmentation-models-pytorch too) and Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from repdiag.checkpoints.architectures.mix_transformers import mix_transformer_candidates
from repdiag.checkpoints.keymaps.keymap import Keymap, State
from repdiag.checkpoints.keymaps.renaming import all_names, by_patterns
from repdiag.core.errors import CheckpointError

_DECODERS = ("decode_head.", "head.", "classifier.")
_KEYS = re.compile(r"(.*\.attn)\.k\.(weight|bias)")


def _from_one(name: re.Match[str]) -> str:
    return f"stages.{int(name[1]) - 1}."


_ORIGINAL = by_patterns(
    (r"^patch_embed1\.", "patch_embed."),
    (r"^patch_embed(\d)\.", lambda found: f"{_from_one(found)}downsample."),
    (r"^block(\d)\.", lambda found: f"{_from_one(found)}blocks."),
    (r"^norm(\d)\.", lambda found: f"{_from_one(found)}norm."),
    (r"\.dwconv\.dwconv\.", ".dwconv."),
)
_HUGGING_FACE = by_patterns(
    # The names of files and of transformers 4: layers of one kind stand together.
    (r"^encoder\.patch_embeddings\.(\d)\.", r"stages.\1.patch_embeddings."),
    (r"^encoder\.block\.(\d)\.", r"stages.\1.blocks."),
    (r"^encoder\.layer_norm\.(\d)\.", r"stages.\1.layer_norm."),
    (r"^encoder\.layers\.(\d)\.", r"stages.\1."),
    (r"^stages\.0\.patch_embeddings?\.", "patch_embed."),
    (r"^(stages\.\d)\.patch_embeddings?\.", r"\1.downsample."),
    (r"\.(layer_norm_|layernorm_before|layernorm_after)(\d?)\.", lambda found: _norm(found[1], found[2])),
    (r"\.attention\.sequence_reduction\.sequence_reduction\.", ".attn.sr."),
    (r"\.attention\.sequence_reduction\.layer_norm\.", ".attn.norm."),
    (r"\.attention\.(self\.)?(sr|spatial_reduction)\.", ".attn.sr."),
    (r"\.attention\.(self\.)?layer_norm\.", ".attn.norm."),
    (r"\.attention\.(self\.)?(q|k|v)(uery|ey|alue|_proj)\.", r".attn.\2."),
    (r"\.attention\.(output\.dense|o_proj|proj)\.", ".attn.proj."),
    (r"\.mlp\.(dense|fc)([12])\.", r".mlp.fc\2."),
    (r"\.dwconv\.dwconv\.", ".dwconv."),
    (r"(^|\.)layer_norm\.", r"\1norm."),
)


def _norm(name: str, number: str) -> str:
    return f".norm{number or (1 if name.endswith('before') else 2)}."


def _hugging_face(state: Mapping[str, Tensor]) -> State:
    """Rename, and put keys and values into one tensor, as timm has them."""
    found = _HUGGING_FACE(state)
    for match in [match for match in map(_KEYS.fullmatch, found) if match]:
        names = [f"{match[1]}.{part}.{match[2]}" for part in "kv"]
        if names[1] not in found:
            raise CheckpointError("a key has no value beside it", found=match[0][:80], hint="--prefix, or another file")
        found[f"{match[1]}.kv.{match[2]}"] = torch.cat([found.pop(name) for name in names])
    return found


ORIGINAL = Keymap(
    name="mix transformers and PVT v2 of their authors",
    applies=lambda state: all_names(state, [r"patch_embed1\.proj\.", r"block1\.0\.mlp\.dwconv\.dwconv\."]),
    convert=_ORIGINAL,
    candidates=mix_transformer_candidates,
    beside=_DECODERS,
    defaults={"norm_eps": 1e-6, "activation": "gelu"},
)
SEGFORMER = Keymap(
    name="Hugging Face SegFormer",
    applies=lambda state: (
        all_names(state, [r"stages\.0\.patch_embeddings\.proj\.", r"stages\.0\.blocks\.0\.mlp\.dwconv\.dwconv\."])
        or all_names(state, [r"encoder\.patch_embeddings\.0\.proj\.", r"encoder\.block\.0\.0\.mlp\.dwconv\.dwconv\."])
    ),
    convert=_hugging_face,
    candidates=mix_transformer_candidates,
    beside=_DECODERS,
    facts={"norm_eps": 1e-5},  # whatever its config.json says, which its code does not read
    defaults={"activation": "gelu"},
)
PVT = Keymap(
    name="Hugging Face PVT v2",
    applies=lambda state: all_names(
        state, [r"encoder\.layers\.0\.patch_embedding\.proj\.", r"encoder\.layers\.0\.blocks\.0\.mlp\.dwconv\.dwconv\."]
    ),
    convert=_hugging_face,
    candidates=partial(mix_transformer_candidates, eps_within=None),
    beside=_DECODERS,
    defaults={"norm_eps": 1e-6, "activation": "gelu"},
)
