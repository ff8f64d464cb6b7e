"""Folders of Hugging Face transformers: the weights beside config.json and preprocessor_config.json."""

from __future__ import annotations

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.timm_hub import triple
from repdiag.checkpoints.reading.contents import Contents

_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
_INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
_PREFIXES = ("", "vit.", "dinov2.", "dinov2_with_registers.", "resnet.", "deit.", "model.")


def _facts(file: Contents) -> Facts:
    heads, eps, activation = (
        file.sidecar(_CONFIG, name) for name in ("num_attention_heads", "layer_norm_eps", "hidden_act")
    )
    return Facts(
        heads={0: heads} if isinstance(heads, int) else {},
        norm_eps=eps if isinstance(eps, float) else None,
        activation="quick_gelu" if activation == "quick_gelu" else None,
        resample="bicubic",
        pool="token",
    )


def _side(size: object) -> int | None:
    values = [size.get(key) for key in ("shortest_edge", "height")] if isinstance(size, dict) else [size]
    return next((value for value in values if isinstance(value, int)), None)


def _preprocessing(file: Contents) -> Preprocessing:
    size = _side(file.sidecar(_PREPROCESSOR, "size"))
    crop = _side(file.sidecar(_PREPROCESSOR, "crop_size")) if file.sidecar(_PREPROCESSOR, "do_center_crop") else None
    return Preprocessing(
        mean=triple(file.sidecar(_PREPROCESSOR, "image_mean"), IMAGENET_MEAN),
        std=triple(file.sidecar(_PREPROCESSOR, "image_std"), IMAGENET_STD),
        image_size=crop or size or _side(file.sidecar(_CONFIG, "image_size")),
        resize=size if crop else None,
        interpolation=_INTERPOLATIONS.get(file.sidecar(_PREPROCESSOR, "resample"), "bilinear"),
    )


FORMAT = Format(
    name="hugging_face",
    title="Hugging Face transformers",
    recognise=lambda file: isinstance(file.sidecar(_CONFIG, "model_type"), str),
    branches=tuple(Branch(name="online", place="", prefix=prefix) for prefix in _PREFIXES),
    heads=("pooler.", "classifier.", "mask_token", "decoder."),
    preprocessing=_preprocessing,
    facts=_facts,
    arch=lambda file: file.sidecar(_CONFIG, "architecture"),
)
