"""Checkpoints of timm's train.py: the weights and, in `state_dict_ema`, their average."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.timm_hub import preprocessing_of
from repdiag.checkpoints.reading.contents import Contents


def _arch(file: Contents) -> Any:
    return file.setting("arch") or file.setting("args", "model")


def _preprocessing(file: Contents) -> Preprocessing:
    """Return what train.py would evaluate with: its own arguments, else the defaults of the architecture."""
    import timm

    arch = _arch(file)
    known = timm.get_pretrained_cfg(arch) if isinstance(arch, str) and timm.is_model(arch.partition(".")[0]) else None
    settings: dict[str, Any] = asdict(known) if known is not None else {}
    for name in ("mean", "std", "input_size", "crop_pct", "interpolation"):
        given = file.setting("args", name)
        settings |= {name: given} if given else {}
    side = file.setting("args", "img_size")
    return preprocessing_of(settings | ({"input_size": (3, side, side)} if isinstance(side, int) else {}))


FORMAT = Format(
    name="timm",
    title="timm's train.py",
    recognise=lambda file: file.has_keys("arch", "version", "state_dict") or file.has_keys("state_dict_ema"),
    branches=(Branch(name="online"), Branch(name="ema", place="state_dict_ema")),
    preprocessing=_preprocessing,
    facts=Facts(resample="antialiased"),
    arch=_arch,
    of_libraries=True,
    notes=("timm itself would take the average (--branch ema) where a file has one",),
)
