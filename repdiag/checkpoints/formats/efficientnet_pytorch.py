"""Supervised EfficientNets of efficientnet_pytorch and EfficientNet-Lite-PyTorch: bare names with underscores."""

from __future__ import annotations

from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

# The Lite networks were trained on (pixel - 127) / 128.
_LITE = Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3, interpolation="bicubic")
_PLACES = ("", "state_dict", "model")


def _preprocessing(file: Contents) -> Preprocessing:
    excites = any(file.has(place, "_blocks.0._se_reduce.") for place in _PLACES)
    return Preprocessing(interpolation="bicubic") if excites else _LITE


FORMAT = Format(
    name="efficientnet_pytorch",
    title="efficientnet_pytorch and EfficientNet-Lite",
    recognise=lambda file: any(file.has(place, "_conv_stem.", "_blocks.0.") for place in _PLACES),
    branches=tuple(Branch(name="online", place=place) for place in _PLACES),
    preprocessing=_preprocessing,
)
