"""OpenSelfSup, MMSelfSup and MMPretrain (open-mmlab): `backbone` beside twins under the names of each method.

Its files hold their settings as Python text in `meta`, which is where strides, style and normalisation are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from repdiag.checkpoints.facts import recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.python_config import at, settings_in
from repdiag.checkpoints.reading.contents import Contents
from repdiag.core.errors import CheckpointError

_TWINS = {"key": "encoder_k.", "target": "target_net.", "momentum": "momentum_encoder.", "teacher": "teacher."}
_INNER = ("mlp.", "projection_neck.", "fc.", "")  # of a neck: numbered layers, or fc0, bn0, fc1, ...
_POOLS = {"cls_token": "token", "avg_featmap": "mean"}
_WHERE = "meta.cfg: "


def _necks(*owners: str) -> tuple[str, ...]:
    return tuple(owner + inner for owner in owners for inner in _INNER)


def _settings(file: Contents) -> dict[str, Any]:
    return settings_in(file.setting("meta", "cfg")) or settings_in(file.setting("meta", "config"))


def _backbone(file: Contents) -> Mapping[str, Any]:
    found = at(_settings(file), "model", "backbone")
    return found if isinstance(found, Mapping) else {}


def _facts(file: Contents) -> Facts:
    contrast = file.has("state_dict", "momentum_encoder.")
    facts = Facts(heads={384: 12 if contrast else 6, 768: 12, 1024: 16}, resample="bicubic")
    backbone = _backbone(file)
    if backbone.get("style") in ("caffe", "pytorch"):
        stride_in = "1x1" if backbone["style"] == "caffe" else "3x3"
        facts = facts.with_origin(recorded(f"{_WHERE}style"), stride_in=stride_in)
    if "CIFAR" in str(backbone.get("type", "")):
        facts = facts.with_origin(recorded(f"{_WHERE}type"), stem_stride=1, stem_pool=False, stem_padding=1)
    facts = _with_strides(facts, backbone)
    pool = _POOLS.get(str(backbone.get("out_type")))
    return facts if pool is None else facts.with_origin(recorded(f"{_WHERE}out_type"), pool=pool)


def _with_strides(facts: Facts, backbone: Mapping[str, Any]) -> Facts:
    """Return the facts with an output stride, where the strides of the stages are not the usual ones."""
    strides, dilations = backbone.get("strides"), backbone.get("dilations")
    if not isinstance(strides, list) or strides in ([1, 2, 2, 2], [1, 2, 2, 2][: len(strides)]):
        return facts
    kept = [stride == 2 for stride in strides[1:]]
    if strides[0] != 1 or not set(strides[1:]) <= {1, 2} or kept != sorted(kept, reverse=True):
        raise CheckpointError(
            "the strides that the file records are none that this ResNet is built with",
            found=f"{_WHERE}strides {strides}"[:80],
            hint="--backbone your_file.py:function",
        )
    dilated = isinstance(dilations, list) and any(isinstance(rate, int) and rate > 1 for rate in dilations)
    stem = 1 if facts.stem_stride == 1 else 4
    return facts.with_origin(recorded(f"{_WHERE}strides"), output_stride=stem * 2 ** sum(kept), dilated=dilated)


def _preprocessing(file: Contents) -> Preprocessing:
    """Return the recorded normalisation, of images from 0 to 255; else the usual one."""
    settings = _settings(file)
    found = Preprocessing()
    for path in (("data_preprocessor",), ("model", "data_preprocessor"), ("img_norm_cfg",)):
        part = at(settings, *path)
        mean, std = (_per_channel(at(part or {}, name)) for name in ("mean", "std"))
        if mean is None or std is None:
            continue
        order = next((at(part, name) for name in ("to_rgb", "bgr_to_rgb") if at(part, name) is not None), None)
        origins = dict.fromkeys(("mean", "std", "bgr"), recorded(f"meta.cfg: {'.'.join(path)}"))
        return replace(found, mean=mean, std=std, bgr=order is False, origins=origins)
    return found


def _per_channel(values: object) -> tuple[float, float, float] | None:
    if isinstance(values, list) and len(values) == 3 and all(isinstance(value, int | float) for value in values):
        red, green, blue = (round(value / 255, 6) for value in values)
        return (red, green, blue)
    return None


FORMAT = Format(
    name="mm",
    reads=("meta.cfg: style, strides, dilations, type, out_type, data_preprocessor",),
    title="OpenSelfSup, MMSelfSup, MMPretrain",
    recognise=lambda file: file.has_keys("meta", "state_dict") and file.has("state_dict", "backbone."),
    branches=(
        Branch(name="online", prefix="backbone.", projector=_necks("neck.", "encoder_q.1.", "online_net.1.")),
        *(
            Branch(name=name, prefix=f"{twin}{wrapper}0.", projector=_necks(f"{twin}{wrapper}1."))
            for name, twin in _TWINS.items()
            for wrapper in ("module.", "")
        ),
    ),
    known=("queue", "head.", "neck.", "encoder_q.", "online_net.", "data_preprocessor.", *_TWINS.values()),
    facts=_facts,
    preprocessing=_preprocessing,
    arch=lambda file: file.setting("meta", "arch"),
)
