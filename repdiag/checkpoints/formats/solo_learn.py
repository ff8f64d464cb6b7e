"""solo-learn (vturrisi/solo-learn): Lightning files; its 3x3 stem is padded by 2, unlike everybody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from repdiag.checkpoints.facts import Origin, recorded
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import CIFAR10_SOLO, CIFAR100, STL10
from repdiag.checkpoints.reading.contents import Contents

_HEADS, _MOMENTUM_HEADS = ("projector.", "head.mlp."), ("momentum_projector.", "momentum_head.mlp.")


def _recognise(file: Contents) -> bool:
    if not file.has_keys("pytorch-lightning_version") or file.has_keys("hyper_parameters"):
        return False
    if "args.json" not in file.payload.sidecars and _is_of_another(file):
        return False
    own = ("projector.", "momentum_backbone.", "prototypes.", "queue", "predictor.", "head.")
    named = file.has("state_dict", "classifier.") and any(file.has("state_dict", part) for part in own)
    return (named or "args.json" in file.payload.sidecars) and any(
        file.has("state_dict", prefix) for prefix in ("backbone.", "encoder.")
    )


def _is_of_another(file: Contents) -> bool:
    """Say whether somebody's own module has the same names: a projector of one layer, or Lightning's own saving.

    solo-learn's projectors have two linear layers and more, and it saves by a callback that keeps no state.
    """
    callbacks = file.setting("callbacks")
    if isinstance(callbacks, Mapping) and any(str(name).startswith("ModelCheckpoint") for name in callbacks):
        return True
    layers = [
        name
        for name, value in (file.state("state_dict") or {}).items()
        if name.startswith("projector.") and value.ndim == 2
    ]
    return len(layers) == 1


def _preprocessing(file: Contents) -> Preprocessing:
    dataset = str(file.sidecar("args.json", "data", "dataset") or file.sidecar("args.json", "dataset") or "")
    known = {"cifar10": CIFAR10_SOLO, "cifar100": CIFAR100, "stl10": STL10}.get(dataset)
    if known is not None:
        return replace(known, origin=recorded("args.json: dataset"))
    if dataset:
        return Preprocessing(
            usual_size=224, resize=256, origin=Origin("recorded", f"args.json: dataset {dataset[:30]}")
        )
    state = file.state("state_dict") or {}
    stem = next((value for name, value in state.items() if name.endswith("backbone.conv1.weight")), None)
    if stem is not None and stem.shape[-1] == 3:
        return replace(CIFAR10_SOLO, origin=Origin("assumed", "CIFAR-10, because the stem is 3x3"))
    return Preprocessing(origin=Origin("assumed", "ImageNet's, as there is no args.json"))


def _facts(file: Contents) -> Facts:
    """Return solo-learn's padding; without its args.json the file may be another's with the same names."""
    facts = Facts(stem_padding=2)
    if "args.json" in file.payload.sidecars:
        return facts
    return replace(facts, origins={"stem_padding": Origin("assumed", "solo-learn's; everybody else pads by 1")})


def _training(file: Contents) -> dict[str, Any]:
    return {
        "method": file.sidecar("args.json", "method"),
        "epochs": file.sidecar("args.json", "max_epochs"),
        "temperature": file.sidecar("args.json", "method_kwargs", "temperature"),
    }


FORMAT = Format(
    name="solo_learn",
    reads=("args.json: dataset, backbone, method",),
    title="solo-learn",
    recognise=_recognise,
    branches=(
        Branch(name="online", prefix="backbone.", projector=_HEADS),
        Branch(name="online", prefix="encoder.", projector=_HEADS),
        Branch(name="momentum", prefix="momentum_backbone.", projector=_MOMENTUM_HEADS),
        Branch(name="momentum", prefix="momentum_encoder.", projector=_MOMENTUM_HEADS),
    ),
    known=(
        "classifier.",
        "momentum_classifier.",
        "predictor.",
        "prototypes",
        "queue",
        "head.",
        "momentum_head.",
        "dino_loss",
    ),
    preprocessing=_preprocessing,
    facts=_facts,
    arch=lambda file: file.sidecar("args.json", "backbone", "name") or file.sidecar("args.json", "backbone"),
    training=_training,
)
