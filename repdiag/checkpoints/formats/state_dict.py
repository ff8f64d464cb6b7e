"""A state dict of any network under any wrapper: the last resort, for files that no family claims."""

from __future__ import annotations

from repdiag.checkpoints.contents import Contents
from repdiag.checkpoints.formats.format import Branch, Format

_PLACES = ("state_dict", "model_state_dict", "model", "net", "network", "backbone", "encoder", "weights", "")
_AVERAGED = ("state_dict_ema", "model_ema", "ema", "ema_state_dict")
_WRAPPERS = (
    "",
    "model.",
    "backbone.",
    "encoder.",
    "net.",
    "network.",
    "model.backbone.",
    "model.encoder.",
    "base_model.",
    "feature_extractor.",
    "features_extractor.",
    "trunk.",
    "image_encoder.",
    "vision_model.",
    "visual.",
)


def _branches(file: Contents) -> tuple[Branch, ...]:
    branches = [
        Branch(name="online", place=place, prefix=prefix)
        for place in _PLACES
        if file.state(place)
        for prefix in _WRAPPERS
        if file.has(place, prefix)
    ]
    return (*branches, *(Branch(name="ema", place=place) for place in _AVERAGED if file.state(place)))


FORMAT = Format(
    name="state_dict",
    title="plain state dict",
    recognise=lambda file: bool(_branches(file)),
    branches=_branches,
    notes=("the file does not say how images were prepared: ImageNet's way, or say --image-size, --mean and --std",),
    arch=lambda file: file.setting("arch") or file.setting("args", "arch") or file.setting("args", "model"),
)
