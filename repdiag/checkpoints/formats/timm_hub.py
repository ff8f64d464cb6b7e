"""timm's models on the Hugging Face hub: weights beside a config.json with the name and the preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.checkpoints.facts import Origin, recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.timm_settings import facts_in_name, pool_of_timm, recorded_networks, timm_settings
from repdiag.checkpoints.reading.contents import Contents, State

_CONFIG = "config.json"
_PLACES = ("", "state_dict", "model")
_LARGEST_SIDE = 4096


def triple(value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """Return three numbers of a settings file, or the default where it does not have them."""
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(item, int | float) for item in value):
        return (float(value[0]), float(value[1]), float(value[2]))
    return default


def preprocessing_of(
    settings: Mapping[str, Any], *, origin: Origin, changed: Mapping[str, Origin] | None = None
) -> Preprocessing:
    """Return what timm's evaluation does to images, from the fields of a `pretrained_cfg` read at a place.

    `changed` are fields that were read elsewhere.
    """
    shape, crop = settings.get("input_size"), settings.get("crop_pct")
    size = shape[-1] if isinstance(shape, list | tuple) and shape and isinstance(shape[-1], int) else None
    interpolation = settings.get("interpolation")
    return Preprocessing(
        mean=triple(settings.get("mean"), IMAGENET_MEAN),
        std=triple(settings.get("std"), IMAGENET_STD),
        image_size=size,
        resize=int(size / crop) if size and isinstance(crop, float) and 0.1 < crop <= 1.0 else None,
        squash=settings.get("crop_mode") == "squash",
        interpolation="bicubic" if interpolation == "bicubic" else "bilinear",
        origin=origin,
        origins=dict(changed or {}),
    )


def _settings(file: Contents) -> dict[str, Any]:
    found = file.sidecar(_CONFIG, "pretrained_cfg")
    if isinstance(found, dict):
        return found
    if file.sidecar(_CONFIG, "model_type") != "timm_wrapper":
        return {}
    import timm

    known = timm.get_pretrained_cfg(_arch(file)) if timm.is_model(str(_arch(file)).partition(".")[0]) else None
    return asdict(known) if known is not None else {}


def _preprocessing(file: Contents) -> Preprocessing:
    """Return the recorded input; the size of the network itself goes before that of its weights' evaluation."""
    found = preprocessing_of(_settings(file), origin=recorded(f"{_CONFIG}: pretrained_cfg"))
    side = file.sidecar(_CONFIG, "model_args", "img_size")
    if isinstance(side, int) and 0 < side <= _LARGEST_SIDE and side != found.image_size:
        origins = {**found.origins, "image_size": recorded(f"{_CONFIG}: model_args.img_size")}
        return replace(found, image_size=side, resize=None, origins=origins)
    return found


def _facts(file: Contents) -> Facts:
    facts = facts_in_name(_arch(file), Facts(resample="antialiased"))
    for where in (("model_args", "global_pool"), ("global_pool",)):
        pool = pool_of_timm(file.sidecar(_CONFIG, *where))
        if pool is not None:
            return facts.with_origin(recorded(f"{_CONFIG}: {'.'.join(where)}"), pool=pool)
    return facts


def _networks(file: Contents, state: State, facts: Facts) -> list[Candidate]:
    del state
    settings, _ = timm_settings(file.sidecar(_CONFIG, "model_args"))
    return recorded_networks(_arch(file), settings, facts, where=f"{_CONFIG}: model_args")


def _notes(file: Contents) -> tuple[str, ...]:
    _, odd = timm_settings(file.sidecar(_CONFIG, "model_args"))
    return (f"{_CONFIG} has model_args that are not understood and not used: {', '.join(odd)}",) if odd else ()


def _arch(file: Contents) -> Any:
    return file.sidecar(_CONFIG, "architecture")


FORMAT = Format(
    name="timm_hub",
    reads=("config.json: architecture, model_args, global_pool, pretrained_cfg",),
    title="timm on the Hugging Face hub",
    tried="timm 1.0.31",
    recognise=lambda file: (
        isinstance(_arch(file), str) and bool(_settings(file)) and any(file.state(place) for place in _PLACES)
    ),
    branches=tuple(
        Branch(name="online", place=place, prefix=prefix) for place in _PLACES for prefix in ("timm_model.", "")
    ),
    preprocessing=_preprocessing,
    facts=_facts,
    networks=_networks,
    notes_on=_notes,
    of_libraries=True,
    arch=_arch,
)
