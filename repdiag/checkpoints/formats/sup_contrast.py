"""SupContrast (HobbitLong/SupContrast): CIFAR ResNets under SupCon or SimCLR; settings in a pickled Namespace."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from repdiag.checkpoints.facts import Origin, recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import CIFAR10, CIFAR100
from repdiag.checkpoints.reading.contents import Contents


def _preprocessing(file: Contents) -> Preprocessing:
    known = {"cifar10": CIFAR10, "cifar100": CIFAR100}.get(str(file.setting("opt", "dataset")), CIFAR10)
    found = replace(known, origin=recorded("opt.dataset"))
    mean, std = (_three(file.setting("opt", name)) for name in ("mean", "std"))
    if mean is not None and std is not None:  # `--dataset path --mean ... --std ...`
        said = {"mean": recorded("opt.mean"), "std": recorded("opt.std")}
        found = replace(found, mean=mean, std=std, origins=said)
    elif str(file.setting("opt", "dataset")) not in ("cifar10", "cifar100"):
        found = replace(found, origin=Origin("assumed", "CIFAR-10's"))
    size = file.setting("opt", "size")
    if isinstance(size, int):
        found = replace(found, image_size=size, origins={**found.origins, "image_size": recorded("opt.size")})
    return found


def _three(value: Any) -> tuple[float, float, float] | None:
    """Return three numbers of a list, or of the text of a tuple as the command line has it: "(0.1, 0.2, 0.3)"."""
    parts = re.findall(r"[0-9.eE+-]+", value) if isinstance(value, str) and len(value) < 200 else value
    try:
        numbers = [float(part) for part in parts] if isinstance(parts, list | tuple) else []
    except (TypeError, ValueError):
        return None
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _training(file: Contents) -> dict[str, Any]:
    names = {"method": "method", "temperature": "temp", "epochs": "epochs", "batch_size": "batch_size", "seed": "trial"}
    return {name: file.setting("opt", own) for name, own in names.items()}


FORMAT = Format(
    name="sup_contrast",
    reads=("opt: model, dataset, size, mean, std",),
    title="SupContrast",
    recognise=lambda file: file.has_keys("opt", "model") and file.has("model", "encoder."),
    branches=(Branch(name="online", place="model", prefix="encoder.", projector=("head.",)),),
    known=("fc.",),  # of SupCE
    preprocessing=_preprocessing,
    facts=Facts(stem_padding=1),
    arch=lambda file: file.setting("opt", "model"),
    training=_training,
)
