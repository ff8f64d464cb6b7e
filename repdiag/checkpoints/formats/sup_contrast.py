"""SupContrast (HobbitLong/SupContrast): CIFAR ResNets under SupCon or SimCLR; settings in a pickled Namespace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import CIFAR10, CIFAR100
from repdiag.checkpoints.reading.contents import Contents


def _preprocessing(file: Contents) -> Preprocessing:
    known = {"cifar10": CIFAR10, "cifar100": CIFAR100}.get(str(file.setting("opt", "dataset")), CIFAR10)
    size = file.setting("opt", "size")
    return replace(known, image_size=size) if isinstance(size, int) else known


def _training(file: Contents) -> dict[str, Any]:
    names = {"method": "method", "temperature": "temp", "epochs": "epochs", "batch_size": "batch_size", "seed": "trial"}
    return {name: file.setting("opt", own) for name, own in names.items()}


FORMAT = Format(
    name="sup_contrast",
    title="SupContrast",
    recognise=lambda file: file.has_keys("opt", "model") and file.has("model", "encoder."),
    branches=(Branch(name="online", place="model", prefix="encoder.", projector=("head.",)),),
    known=("fc.",),  # of SupCE
    preprocessing=_preprocessing,
    facts=Facts(stem_padding=1),
    arch=lambda file: file.setting("opt", "model"),
    training=_training,
)
