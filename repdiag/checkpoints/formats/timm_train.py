"""Checkpoints of timm's train.py: the weights and, in `state_dict_ema`, their average."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Origin, recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.timm_hub import preprocessing_of
from repdiag.checkpoints.formats.timm_settings import facts_in_name, pool_of_timm, recorded_networks, timm_settings
from repdiag.checkpoints.reading.contents import Contents, State
from repdiag.checkpoints.reading.stand_ins import settings_of

_LARGEST_SIDE = 4096
_FIELDS = {"input_size": "image_size", "crop_pct": "resize"}


def _arch(file: Contents) -> Any:
    return file.setting("arch") or file.setting("args", "model")


def _preprocessing(file: Contents) -> Preprocessing:
    """Return what train.py would evaluate with: its own arguments, else the defaults of the architecture."""
    import timm

    arch = _arch(file)
    known = timm.get_pretrained_cfg(arch) if isinstance(arch, str) and timm.is_model(arch.partition(".")[0]) else None
    settings: dict[str, Any] = asdict(known) if known is not None else {}
    changed: dict[str, Origin] = {}
    for name in ("mean", "std", "input_size", "crop_pct", "interpolation"):
        given = file.setting("args", name)
        if given:
            settings[name] = given
            changed[_FIELDS.get(name, name)] = recorded(f"args.{name}")
    side = file.setting("args", "img_size")
    if isinstance(side, int) and 0 < side <= _LARGEST_SIDE:
        settings["input_size"] = (3, side, side)
        changed["image_size"] = recorded("args.img_size")
    return preprocessing_of(settings, origin=Origin("names", f"timm's defaults for {str(arch)[:60]}"), changed=changed)


def _settings(file: Contents) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments of the network that train.py was started with."""
    given = settings_of(file.setting("args", "model_kwargs"))
    settings, odd = timm_settings({str(name): value for name, value in given.items()})
    pool, channels = file.setting("args", "gp"), file.setting("args", "in_chans")
    more, _ = timm_settings({"global_pool": pool, "in_chans": channels, "bn_eps": file.setting("args", "bn_eps")})
    if (settings or _is_of_one_size(_arch(file))) and isinstance(side := file.setting("args", "img_size"), int):
        more |= timm_settings({"img_size": side})[0]
    return {**settings, **more}, odd


def _is_of_one_size(arch: object) -> bool:
    """Say whether an architecture is built for one image size, so that its tensors depend on it, as Swin's do."""
    import timm

    name = arch.partition(".")[0] if isinstance(arch, str) else ""
    if not timm.is_model(name) or name.startswith(("vit", "deit")):  # the latter are read from their tensors
        return False
    known = timm.get_pretrained_cfg(name)
    return known is not None and bool(known.fixed_input_size)


def _facts(file: Contents) -> Facts:
    facts = facts_in_name(_arch(file), Facts(resample="antialiased"))
    pool = pool_of_timm(file.setting("args", "gp"))
    return facts if pool is None else facts.with_origin(recorded("args.gp"), pool=pool)


def _networks(file: Contents, state: State, facts: Facts) -> list[Candidate]:
    del state
    return recorded_networks(_arch(file), _settings(file)[0], facts, where="args.model_kwargs")


def _notes(file: Contents) -> tuple[str, ...]:
    odd = _settings(file)[1]
    return (f"args.model_kwargs has arguments that are not understood and not used: {', '.join(odd)}",) if odd else ()


_OWNERS = ("", "model.", "module.", "net.", "backbone.", "encoder.")  # modules that keep the average as timm does
FORMAT = Format(
    name="timm",
    reads=("args: model, gp, model_kwargs, in_chans, bn_eps, img_size, mean, std, crop_pct, interpolation",),
    title="timm's train.py",
    tried="timm 1.0.31",
    recognise=lambda file: file.has_keys("arch", "version", "state_dict") or file.has_keys("state_dict_ema"),
    branches=tuple(
        Branch(name=name, place=place, prefix=prefix)
        for name, place in (("online", "state_dict"), ("ema", "state_dict_ema"))
        for prefix in _OWNERS
    ),
    preprocessing=_preprocessing,
    facts=_facts,
    networks=_networks,
    notes_on=_notes,
    arch=_arch,
    of_libraries=True,
    notes=("timm itself would take the average (--branch ema) where a file has one",),
)
