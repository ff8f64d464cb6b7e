"""lightly: Lightning files of its examples, whose attribute names the user chose after its documentation.

Its plain PyTorch examples have the same names in a bare state dict.
"""

from __future__ import annotations

from collections.abc import Mapping

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

_PLACES = ("state_dict", "model_state_dict", "model", "")
_OWNERS = ("", "model.")
_ENCODERS: Mapping[str, tuple[str, ...]] = {
    "online": ("backbone.", "online_backbone."),
    "student": ("student_backbone.",),
}
_TWINS: Mapping[str, tuple[str, ...]] = {"momentum": ("backbone_momentum.",), "teacher": ("teacher_backbone.",)}
_HEADS = ("projection_head", "student_projection_head", "student_head", "online_projection_head")
_TWIN_HEADS = ("projection_head_momentum", "teacher_projection_head", "teacher_head")


def _branches(roles: Mapping[str, tuple[str, ...]], heads: tuple[str, ...]) -> tuple[Branch, ...]:
    inner = (".layers.", ".")
    return tuple(
        Branch(
            name=name,
            place=place,
            prefix=owner + encoder,
            projector=tuple(f"{owner}{head}{end}" for head in heads for end in inner),
        )
        for name, encoders in roles.items()
        for place in _PLACES
        for owner in _OWNERS
        for encoder in encoders
    )


def _recognise(file: Contents) -> bool:
    layers = "" if file.has_keys("pytorch-lightning_version") else "layers."  # what tells lightly from others
    heads = [f"{head}.{layers}" for head in (*_HEADS, "prediction_head")]
    return any(
        file.has(place, owner + encoder) and any(file.has(place, owner + head) for head in heads)
        for place in _PLACES
        for owner in _OWNERS
        for encoders in _ENCODERS.values()
        for encoder in encoders
    )


FORMAT = Format(
    name="lightly",
    title="lightly",
    tried="lightly 1.6",
    recognise=_recognise,
    preprocessing=Preprocessing(origin=Origin("assumed", "ImageNet's, as the transforms of lightly do")),
    branches=(*_branches(_ENCODERS, _HEADS), *_branches(_TWINS, _TWIN_HEADS)),
    known=tuple(
        owner + part
        for owner in _OWNERS
        for part in (
            *(*_HEADS, *_TWIN_HEADS, "prediction_head", "criterion.", "prototypes.", "start_queue", "queue"),
            *("memory_bank", "linear_classifier", "online_classifier", "classification_head", "knn"),
        )
    ),
)
