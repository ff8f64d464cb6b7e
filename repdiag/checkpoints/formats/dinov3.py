"""DINOv3 (facebookresearch/dinov3): released backbones, bare or inside of somebody's module."""

from __future__ import annotations

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

_PLACES = (("teacher", "backbone."), ("model", "teacher.backbone."), ("model", ""), ("state_dict", ""), ("", ""))
# Others read the mean of its patches, as timm does where nothing is said.
_POOL = Origin("assumed", "as its own evaluation")


def _is_here(file: Contents, place: str, prefix: str) -> bool:
    rotary = file.has(place, f"{prefix}rope_embed.", f"{prefix}blocks.")
    return rotary or file.has(place, f"{prefix}storage_tokens", f"{prefix}blocks.")


FORMAT = Format(
    name="dinov3",
    title="DINOv3",
    recognise=lambda file: any(_is_here(file, place, prefix) for place, prefix in _PLACES),
    branches=lambda file: tuple(
        Branch(name="teacher", place=place, prefix=prefix) for place, prefix in _PLACES if _is_here(file, place, prefix)
    ),
    heads=("mask_token", "head."),
    known=("dino_head.", "ibot_head."),
    preprocessing=Preprocessing(usual_size=224, resize=256, interpolation="bicubic"),
    facts=Facts(heads={384: 6, 768: 12, 1024: 16, 1280: 20, 4096: 32}, norm_eps=1e-5).with_origin(_POOL, pool="token"),
)
