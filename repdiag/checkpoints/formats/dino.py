"""DINO (facebookresearch/dino) and iBOT (bytedance/ibot): student and teacher; the teacher is what is evaluated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

VIT_FACTS = Facts(
    heads={192: 3, 384: 6, 768: 12, 1024: 16}, resample="dino", pool="token", activation="gelu", norm_eps=1e-6
)
_SETTINGS = {
    "epochs": "epochs",
    "temperature": "student_temp",
    "teacher_temperature": "teacher_temp",
    "momentum": "momentum_teacher",
    "batch_size_per_gpu": "batch_size_per_gpu",
    "seed": "seed",
}


def _branches(file: Contents) -> tuple[Branch, ...]:
    inner = "backbone." if file.has("teacher", "backbone.") or file.has("student", "backbone.") else ""
    return tuple(
        Branch(name=name, place=name, prefix=inner, projector=("head.mlp.",)) for name in ("teacher", "student")
    )


def _training(file: Contents) -> dict[str, Any]:
    found = {name: file.setting("args", own) for name, own in _SETTINGS.items()}
    return {"method": "ibot" if file.has_keys("ibot_loss") else "dino", **found}


FORMAT = Format(
    name="dino",
    title="DINO, student and teacher",
    recognise=lambda file: (
        (file.has_keys("student", "teacher") and (file.has_keys("dino_loss") or file.has_keys("ibot_loss")))
        or any(file.has(place, "head.last_layer") for place in ("teacher", "student"))
    ),
    branches=_branches,
    heads=("head.", "fc.", "masked_embed"),
    known=("head.",),
    head_activation="gelu",
    preprocessing=Preprocessing(usual_size=224, resize=256, interpolation="bicubic"),
    facts=VIT_FACTS,
    arch=lambda file: file.setting("args", "arch"),
    training=_training,
)
IBOT = replace(
    FORMAT,
    name="ibot",
    title="iBOT, student and teacher",
    recognise=lambda file: FORMAT.recognise(file) and file.has_keys("ibot_loss"),
)


def _is_bare(file: Contents) -> bool:
    """A vision transformer without a classifier, layer scale or mask token: how DINO's backbones are released.

    Its position embeddings are for images of 224 pixels in patches of 16 or 8; others are somebody else's.
    """
    state = file.state("") or {}
    stem, position = state.get("patch_embed.proj.weight"), state.get("pos_embed")
    if stem is None or position is None or position.ndim != 3:
        return False
    if (stem.shape[-1], position.shape[1]) not in ((16, 197), (8, 785)) and "dino" not in file.file_name:
        return False
    others = ("head.", "fc_norm.", "blocks.0.ls1.", "mask_token", "norm_pre.", "reg_token", "register_tokens")
    names = ("cls_token", "pos_embed", "patch_embed.proj.", "blocks.0.attn.qkv.weight", "norm.")
    return file.has("", *names) and not any(file.has("", name) for name in others)


def _is_released(file: Contents) -> bool:
    """iBOT's released backbones: the teacher alone under `state_dict`, with the embedding of masked patches."""
    return any(file.has(place, "masked_embed", "patch_embed.proj.", "blocks.0.") for place in ("state_dict", ""))


IBOT_BACKBONE = replace(
    FORMAT,
    name="ibot_backbone",
    title="iBOT, released backbone",
    recognise=_is_released,
    branches=tuple(Branch(name="teacher", place=place) for place in ("state_dict", "")),
    known=(),
    training=lambda file: {},  # noqa: ARG005
)
_ASSUMED = Origin("assumed", "as DINO's, which a bare transformer of 224 pixels may or may not be")


def _bare_facts(file: Contents) -> Facts:
    if "dino" in file.file_name:
        return VIT_FACTS
    return replace(VIT_FACTS, origins=dict.fromkeys(("heads", "resample", "pool", "activation", "norm_eps"), _ASSUMED))


def _bare_preprocessing(file: Contents) -> Preprocessing:
    known = Preprocessing(usual_size=224, resize=256, interpolation="bicubic")
    return known if "dino" in file.file_name else replace(known, origin=_ASSUMED)


BACKBONE = replace(
    FORMAT,
    name="dino_backbone",
    title="DINO, released backbone (any plain vision transformer without a head)",
    recognise=_is_bare,
    branches=(Branch(name="teacher", place=""),),
    known=(),
    facts=_bare_facts,
    preprocessing=_bare_preprocessing,
    training=lambda file: {},  # noqa: ARG005
)
