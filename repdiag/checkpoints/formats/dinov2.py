"""DINOv2 (facebookresearch/dinov2): training files hold blocks in chunks, released files a bare backbone."""

from __future__ import annotations

from dataclasses import replace

from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

_RELEASED_GRID = 37  # patches of 14 pixels along a side; its own evaluations take images of 224


def _preprocessing(file: Contents) -> Preprocessing:
    """Return the evaluation's input; a network trained on its own for other images takes those."""
    found = Preprocessing(usual_size=224, resize=256, interpolation="bicubic")
    for place, prefix in _PLACES:
        position = (file.state(place) or {}).get(f"{prefix}pos_embed")
        if position is not None and position.ndim == 3 and position.shape[1] in _RELEASED_POSITIONS:
            return replace(found, image_size=224)
    return found


def _facts(file: Contents) -> Facts:
    registers = any(file.has(place, f"{prefix}register_tokens") for place, prefix in _PLACES)
    resample = "antialiased" if registers else "dino"
    heads = {384: 6, 768: 12, 1024: 16, 1536: 24}
    return Facts(heads=heads, resample=resample, pool="token", norm_eps=1e-6)


_RELEASED_POSITIONS = (_RELEASED_GRID**2, _RELEASED_GRID**2 + 1)
_PLACES = (
    *(("teacher", "backbone."), ("model", "teacher.backbone."), ("student", "backbone.")),
    *(("model", "student.backbone."), ("model", ""), ("", "")),
)

FORMAT = Format(
    name="dinov2",
    title="DINOv2",
    recognise=lambda file: any(
        file.has(place, f"{prefix}mask_token", f"{prefix}blocks.", f"{prefix}patch_embed.")
        and (prefix != "" or any("ls1.gamma" in name for name in file.state(place) or {}))
        for place, prefix in _PLACES
    ),
    branches=tuple(
        Branch(
            name="student" if "student" in place + prefix else "teacher",
            place=place,
            prefix=prefix,
            projector=(f"{prefix.removesuffix('backbone.')}dino_head.mlp.",) if prefix else (),
        )
        for place, prefix in _PLACES
    ),
    heads=("mask_token", "head."),
    known=("dino_head.", "ibot_head.", "teacher.", "student."),
    head_activation="gelu",
    preprocessing=_preprocessing,
    facts=_facts,
)
