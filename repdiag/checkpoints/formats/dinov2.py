"""DINOv2 (facebookresearch/dinov2): training files hold blocks in chunks, released files a bare backbone."""

from __future__ import annotations

from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents


def _facts(file: Contents) -> Facts:
    registers = any(file.has(place, f"{prefix}register_tokens") for place, prefix in _PLACES)
    resample = "antialiased" if registers else "dino"
    return Facts(heads={384: 6, 768: 12, 1024: 16, 1536: 24}, resample=resample)


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
    preprocessing=Preprocessing(image_size=224, resize=256, interpolation="bicubic"),
    facts=_facts,
)
