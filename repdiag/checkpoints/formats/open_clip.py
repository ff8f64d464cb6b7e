"""OpenCLIP (mlfoundations/open_clip): the image tower; what `encode_image` returns, before normalisation.

A folder of the hub has an open_clip_config.json that says what no tensor shows.
Towers of timm are under `visual.trunk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Origin, recorded
from repdiag.checkpoints.formats.clip_trunks import trunk_networks
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import HALVES, OPENAI
from repdiag.checkpoints.formats.timm_hub import triple
from repdiag.checkpoints.reading.contents import Contents, State

_PLACES = ("state_dict", "")
_CONFIG = "open_clip_config.json"
_HEADS = {1280: 16, 1408: 16, 1664: 16}
_POOLS = {"tok": "token", "avg": "mean"}


def _model_config(file: Contents) -> Mapping[str, Any]:
    found = file.sidecar(_CONFIG, "model_cfg")
    return found if isinstance(found, Mapping) else {}


def _vision(file: Contents) -> Mapping[str, Any]:
    found = _model_config(file).get("vision_cfg")
    return found if isinstance(found, Mapping) else {}


def _any_has(file: Contents, *prefixes: str) -> bool:
    return any(file.has(place, *prefixes) for place in _PLACES)


def _facts(file: Contents) -> Facts:
    facts = Facts(heads=_HEADS, project=True, norm_eps=1e-5, resample="antialiased", config=_vision(file))
    if _any_has(file, "visual.trunk."):  # of timm, with timm's epsilon and pooling
        return replace(facts, norm_eps=None)
    vision, where = _vision(file), f"{_CONFIG}: vision_cfg"
    width, head = vision.get("width"), vision.get("head_width")
    if isinstance(width, int) and isinstance(head, int) and head > 0 and width % head == 0:
        facts = facts.with_origin(recorded(f"{where}.head_width"), heads={0: width // head})
    if isinstance(quick := _model_config(file).get("quick_gelu"), bool):
        name = "quick_gelu" if quick else "gelu"
        facts = facts.with_origin(recorded(f"{_CONFIG}: quick_gelu"), activation=name)
    elif vision:
        facts = facts.with_origin(Origin("recorded", f"{_CONFIG} has no quick_gelu"), activation="gelu")
    pool = _POOLS.get(str(vision.get("pool_type", "")))
    if pool is not None:
        facts = facts.with_origin(recorded(f"{where}.pool_type"), pool=pool)
    elif vision:
        facts = facts.with_origin(Origin("recorded", f"{_CONFIG} has no pool_type"), pool="token")
    elif not _any_has(file, "visual.ln_pre."):
        origin = Origin("assumed", "as CLIPA's, which alone has no norm before its blocks")
        return facts.with_origin(origin, pool="mean", pool_first=True)
    if vision.get("final_ln_after_pool") is True:
        facts = facts.with_origin(recorded(f"{where}.final_ln_after_pool"), pool_first=True)
    return facts


def _preprocessing(file: Contents) -> Preprocessing:
    """Return what the folder records; else SigLIP's halves where its bias is, and OpenAI's numbers for all others."""
    settings = file.sidecar(_CONFIG, "preprocess_cfg")
    usual = OPENAI
    for sign, source in (("logit_bias", "tensors"), ("visual.trunk.attn_pool.latent", "assumed")):
        if _any_has(file, sign):
            origin = Origin("tensors" if source == "tensors" else "assumed", f"SigLIP's, as {sign} is there")
            usual = replace(HALVES, interpolation="bicubic", squash=True, origin=origin)
            break
    if not isinstance(settings, Mapping):
        return usual
    size, mode = settings.get("size", _vision(file).get("image_size")), settings.get("resize_mode")
    side = size[0] if isinstance(size, list) and size else size
    side = side if isinstance(side, int) and 0 < side <= 4096 else None
    known: dict[str, Any] = {
        **({"mean": triple(settings["mean"], usual.mean)} if "mean" in settings else {}),
        **({"std": triple(settings["std"], usual.std)} if "std" in settings else {}),
        **({"image_size": side} if side else {}),
        **({"squash": mode == "squash"} if isinstance(mode, str) else {}),
        **({"interpolation": "bilinear"} if settings.get("interpolation") == "bilinear" else {}),
    }
    # Its transforms resize the shorter side to the size itself and cut the centre.
    origins = {**usual.origins, **dict.fromkeys(known, recorded(f"{_CONFIG}: preprocess_cfg"))}
    return replace(usual, **known, resize=side, origins=origins)


def _branches(file: Contents) -> tuple[Branch, ...]:
    """Return the tower; one of timm without a projection is the network itself."""
    prefixes = ("visual.",) if _any_has(file, "visual.head.") else ("visual.trunk.", "visual.")
    return tuple(Branch(name="online", place=place, prefix=prefix) for place in _PLACES for prefix in prefixes)


def _networks(file: Contents, state: State, facts: Facts) -> list[Candidate]:
    name = _vision(file).get("timm_model_name")
    return trunk_networks(state, facts, recorded=name if isinstance(name, str) else None)


FORMAT = Format(
    name="open_clip",
    reads=("open_clip_config.json: quick_gelu, vision_cfg, preprocess_cfg",),
    title="OpenCLIP",
    tried="open_clip 3.3",
    recognise=lambda file: any(
        file.has(place, "visual.") and (file.has(place, "logit_scale") or bool(_model_config(file)))
        for place in _PLACES
    ),
    branches=_branches,
    networks=_networks,
    heads=("fc.", "head.", "heads.", "classifier.", "linear."),
    known=(
        *("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection", "logit_"),
        *("text.", "text_decoder."),
    ),
    preprocessing=_preprocessing,
    facts=_facts,
    arch=lambda file: _vision(file).get("timm_model_name"),  # `name` is the run's
)
