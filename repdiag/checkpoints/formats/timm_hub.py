"""timm's models on the Hugging Face hub: weights beside a config.json with the name and the preprocessing."""

from __future__ import annotations

from typing import Any

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

_CONFIG = "config.json"
_PLACES = ("", "state_dict", "model")


def triple(value: Any, default: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return three numbers of a settings file, or the default where it does not have them."""
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(item, int | float) for item in value):
        return (float(value[0]), float(value[1]), float(value[2]))
    return default


def preprocessing_of(settings: dict[str, Any]) -> Preprocessing:
    """Return what timm's evaluation does to images, from the fields of a `pretrained_cfg`."""
    shape, crop = settings.get("input_size"), settings.get("crop_pct")
    size = shape[-1] if isinstance(shape, list | tuple) and shape and isinstance(shape[-1], int) else None
    interpolation = settings.get("interpolation")
    return Preprocessing(
        mean=triple(settings.get("mean"), IMAGENET_MEAN),
        std=triple(settings.get("std"), IMAGENET_STD),
        image_size=size,
        resize=int(size / crop) if size and isinstance(crop, float) and 0.1 < crop <= 1.0 else None,
        interpolation="bicubic" if interpolation == "bicubic" else "bilinear",
    )


def _settings(file: Contents) -> dict[str, Any]:
    found = file.sidecar(_CONFIG, "pretrained_cfg")
    return found if isinstance(found, dict) else {}


FORMAT = Format(
    name="timm_hub",
    title="timm on the Hugging Face hub",
    recognise=lambda file: (
        isinstance(file.sidecar(_CONFIG, "architecture"), str)
        and bool(_settings(file))
        and any(file.state(place) for place in _PLACES)
    ),
    branches=tuple(Branch(name="online", place=place) for place in _PLACES),
    preprocessing=lambda file: preprocessing_of(_settings(file)),
    facts=Facts(resample="antialiased"),
    of_libraries=True,
    arch=lambda file: file.sidecar(_CONFIG, "architecture"),
)
