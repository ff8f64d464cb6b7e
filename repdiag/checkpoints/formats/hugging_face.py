"""Folders of Hugging Face transformers: the weights beside config.json and preprocessor_config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from repdiag.checkpoints.architectures.activations import known_activation
from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.checkpoints.facts import Origin, recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.hugging_face_classes import PLACES, library_networks
from repdiag.checkpoints.formats.normalizations import HALVES, OPENAI
from repdiag.checkpoints.formats.timm_hub import triple
from repdiag.checkpoints.reading.contents import Contents

_CONFIG, _PREPROCESSOR, _PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
_INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}
_PREFIXES = (
    *("", "vit.", "deit.", "dinov2.", "dinov2_with_registers.", "resnet.", "model.", "vision_model.", "backbone."),
    *("beit.", "data2vec_vision.", "convnext.", "convnextv2.", "swin.", "swinv2.", "hiera.", "ijepa.", "regnet."),
    *("mobilenet_v1.", "mobilenet_v2.", "efficientnet.", "levit.", "pvt_v2.", "mobilevit.", "bit.", "dinov3_vit."),
    *("dinov3_convnext.", "vision_model.vision_model.", "yolos.", "base_model.", "encoder."),
)  # fmt: skip
# Processors that resize both sides to `size`, and do not cut; all others resize the shorter side.
_SQUASHES = ("ViT", "Siglip", "Beit", "DeiT", "Swin", "EfficientNet", "DINOv3ViT")
_RESCALE = 1 / 255
# What the library's own processor does to images for a model, where the folder has no processor's file.
_USUAL = {
    **dict.fromkeys(("vit", "vit_mae", "vit_msn", "siglip", "siglip_vision_model", "siglip2", "beit"), HALVES),
    **dict.fromkeys(("data2vec-vision", "mobilenet_v1", "mobilenet_v2", "bit"), HALVES),
    **dict.fromkeys(("clip", "clip_vision_model"), OPENAI),
    "mobilevit": Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
}


def _config(file: Contents) -> dict[str, Any]:
    """Return the settings of the image encoder: those of `vision_config` where there are two towers."""
    config = file.payload.sidecars.get(_CONFIG)
    config = config if isinstance(config, dict) else {}
    inner = config.get("vision_config") or (config.get("encoder") if _is_captioner(config) else None)
    return {**inner, "outer_type": config.get("model_type")} if isinstance(inner, dict) else config


def _is_captioner(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") == "vision-encoder-decoder"


def _facts(file: Contents) -> Facts:
    config = _config(file)
    facts = Facts(resample="bicubic", config=config)
    heads, eps = config.get("num_attention_heads"), config.get("layer_norm_eps", config.get("layer_norm_epsilon"))
    if isinstance(heads, int):
        facts = facts.with_origin(recorded(f"{_CONFIG}: num_attention_heads"), heads={0: heads})
    if isinstance(eps, float):
        facts = facts.with_origin(recorded(f"{_CONFIG}: layer_norm_eps"), norm_eps=eps)
    if (odd := _unsupported(config)) is not None:
        facts = replace(facts, unsupported=f"{_CONFIG}: {odd}")
    if config.get("model_type") == "dinov2_with_registers":
        facts = replace(facts, resample="antialiased")
    if config.get("downsample_in_bottleneck") is True:
        facts = facts.with_origin(recorded(f"{_CONFIG}: downsample_in_bottleneck"), stride_in="1x1")
    if (activation := known_activation(config.get("hidden_act"))) is not None:
        facts = facts.with_origin(recorded(f"{_CONFIG}: hidden_act"), activation=activation)
    size, patch = config.get("image_size"), config.get("patch_size")
    if isinstance(size, list) and len(size) == 2 and isinstance(patch, int) and patch > 0 and size[0] != size[1]:
        grid = (int(size[0]) // patch, int(size[1]) // patch)
        facts = facts.with_origin(recorded(f"{_CONFIG}: image_size"), grid=grid)
    return facts


def _unsupported(config: Mapping[str, Any]) -> str | None:
    """Return a setting that changes the output in a way that only the library's own class can follow."""
    activation = config.get("hidden_act")
    if isinstance(activation, str) and known_activation(activation) is None:
        return f"hidden_act {activation[:30]}"
    if config.get("model_type") == "resnet":
        if activation not in (None, "relu"):  # of the stem and after each block, and ReLU within
            return f"hidden_act {str(activation)[:30]}"
        if config.get("downsample_in_first_stage") is True:
            return "downsample_in_first_stage"
    return None


def _processor(file: Contents) -> tuple[Mapping[str, Any], str]:
    """Return what the folder says about images, and in which of its files."""
    for name in (_PREPROCESSOR, _PROCESSOR):
        found = file.payload.sidecars.get(name)
        if isinstance(found, dict):
            inner = found.get("image_processor")
            return (inner if isinstance(inner, dict) else found), name
    return {}, ""


def _side(size: object) -> int | None:
    values = [size.get(key) for key in ("shortest_edge", "height")] if isinstance(size, dict) else [size]
    return next((value for value in values if isinstance(value, int)), None)


def _preprocessing(file: Contents) -> Preprocessing:
    settings, name = _processor(file)
    own_side = _side(_config(file).get("image_size"))
    if not settings:
        kind = str(_config(file).get("outer_type") or _config(file).get("model_type"))
        usual = _USUAL.get(kind, Preprocessing(interpolation="bicubic"))
        where = Origin("assumed", f"the library's default for {kind[:30]}; there is no {_PREPROCESSOR}")
        read = {"image_size": recorded(f"{_CONFIG}: image_size")} if own_side else {}
        return Preprocessing(
            mean=usual.mean, std=usual.std, image_size=own_side, squash=True, origin=where, origins=read
        )
    return preprocessing_of_processor(settings, name, own_side=own_side)


def preprocessing_of_processor(settings: Mapping[str, Any], name: str, *, own_side: int | None = None) -> Preprocessing:
    """Return what the settings of an image processor, read from the file `name`, do to images."""
    mean, std = _normalization(settings)
    size, crop, squash = _framing(settings)
    resample = settings.get("resample", 2)
    known = resample in _INTERPOLATIONS
    origins = {} if known else {"interpolation": Origin("assumed", f"{name} has resample {str(resample)[:9]}")}
    return Preprocessing(
        mean=mean,
        std=std,
        image_size=crop or size or own_side,
        resize=size if crop else None,
        squash=squash,
        interpolation=_INTERPOLATIONS.get(resample, "bilinear"),
        bgr=settings.get("do_flip_channel_order") is True,
        origin=recorded(name),
        origins=origins,
    )


def _framing(settings: Mapping[str, Any]) -> tuple[int | None, int | None, bool]:
    """Return the side (or shorter side) that images are resized to, the crop after that, and whether both sides are."""
    size, kind = (
        settings.get("size"),
        str(settings.get("image_processor_type") or settings.get("feature_extractor_type")),
    )
    side = _side(size)
    both = isinstance(size, dict) and "height" in size
    if isinstance(size, int):  # of the days of feature extractors
        both = kind.startswith(_SQUASHES)
    crop = _side(settings.get("crop_size")) if settings.get("do_center_crop") else None
    part = settings.get("crop_pct")
    if kind.startswith("ConvNext") and side is not None:
        part = part if isinstance(part, float) and 0.1 < part <= 1.0 else 0.875
        return (int(side / part), side, False) if side < 384 else (side, None, True)
    if kind.startswith("Levit") and side is not None and crop is not None:
        return 256 * side // 224, crop, False
    if crop is None and not both:
        return side, side, False  # the shorter side is resized, and nothing cut: a square is cut here
    return side, crop, both


def _normalization(settings: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std for images in [0, 1]: none where the processor does not normalise, or not from 0 to 255."""
    mean, std = triple(settings.get("image_mean"), IMAGENET_MEAN), triple(settings.get("image_std"), IMAGENET_STD)
    if settings.get("do_normalize") is False:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    factor = settings.get("rescale_factor", _RESCALE)
    if settings.get("do_rescale") is False:
        factor = 1.0
    offset = 1.0 if settings.get("rescale_offset") is True else 0.0
    if not isinstance(factor, int | float) or not 0 < factor <= 1 or (abs(factor - _RESCALE) < 1e-9 and not offset):
        return mean, std
    unit = 255 * factor  # what 1 becomes
    red, green, blue = ((value + offset) / unit for value in mean)
    wide, middle, narrow = (value / unit for value in std)
    return (red, green, blue), (wide, middle, narrow)


FORMAT = Format(
    name="hugging_face",
    reads=(
        "config.json: hidden_act, num_attention_heads, layer_norm_eps, image_size, patch_size",
        "config.json: downsample_in_bottleneck, downsample_in_first_stage",
        "preprocessor_config.json, processor_config.json: size, crop, resample, mean, std, rescaling, channel order",
    ),
    title="Hugging Face transformers",
    tried="transformers 5.24",
    recognise=lambda file: isinstance(file.sidecar(_CONFIG, "model_type"), str),
    branches=tuple(Branch(name="online", place=place, prefix=prefix) for place in PLACES for prefix in _PREFIXES),
    heads=("pooler.dense.", "classifier.", "mask_token", "decoder.", "visual_projection", "text_model.",
           "text_projection", "logit_scale", "logit_bias", "cls_classifier.", "distillation_classifier.", "lm_head.",
           "enc_to_dec_proj."),
    preprocessing=_preprocessing,
    facts=_facts,
    last_networks=library_networks,
    arch=lambda file: file.sidecar(_CONFIG, "architecture"),
)  # fmt: skip
