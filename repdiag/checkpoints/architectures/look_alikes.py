"""Networks of timm that have the very tensors of a plain ResNet or vision transformer and compute something else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from repdiag.checkpoints.architectures.named import known_names

# What differs has no tensors: blurred or averaged strides, rotary positions, another activation, order or head width.
_LOOK_ALIKE = re.compile(
    r"resnet(aa|blur)|_pe_spatial_|_rpn_|_quickgelu_|siglip_gap|giantopt|vit_base_patch16_gap_224$"
)
_ROTARY = "_pe_spatial_"
_GRIDS = range(4, 81)  # patches along a side, from 64 px to 1280 px


def look_alikes(state: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Return the known networks with these tensors: those that are plain, and those that only look so.

    Position embeddings of another image size do not make a rotary transformer a plain one, so all sizes are looked up.
    """
    names = known_names(state)
    if not names and "pos_embed" in state and state["pos_embed"].ndim == 3:
        names = [name for name in _at_other_sizes(state) if _ROTARY in name]
    return [name for name in names if not is_look_alike(name)], [name for name in names if is_look_alike(name)]


def is_look_alike(name: str) -> bool:
    """Say whether a network computes something else than the plain one with the same tensors."""
    return bool(_LOOK_ALIKE.search(name))


def named_in(file_name: str, names: Sequence[str]) -> str | None:
    """Return the longest of the names, without its library, that the file's name contains."""
    found = [name for name in names if name.rpartition(":")[2] in file_name]
    return max(found, key=len, default=None)


def _at_other_sizes(state: Mapping[str, Tensor]) -> list[str]:
    width, tokens = state["pos_embed"].shape[2], int("cls_token" in state)
    shapes = [torch.Size((1, side * side + tokens, width)) for side in _GRIDS]
    return [name for shape in shapes for name in known_names(state, {"pos_embed": shape})]
