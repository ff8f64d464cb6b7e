"""lightly-train: Lightning files that also pickle whole modules, which are never built; its exports are bare."""

from __future__ import annotations

from repdiag.checkpoints.facts import recorded
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

_OWNERS = {"online": "", "teacher": "teacher_", "student": "student_"}
_INNER = ("wrapped_model._features.", "wrapped_model._model.", "wrapped_model.")


def _preprocessing(file: Contents) -> Preprocessing:
    mean, std = (file.setting("lightly_train", "normalize_args", name) for name in ("mean", "std"))
    if isinstance(mean, list | tuple) and isinstance(std, list | tuple) and len(mean) == len(std) == 3:
        return Preprocessing(
            mean=tuple(mean),
            std=tuple(std),
            origins=dict.fromkeys(("mean", "std"), recorded("lightly_train.normalize_args")),
        )
    return Preprocessing()


FORMAT = Format(
    name="lightly_train",
    reads=("lightly_train: normalize_args",),
    title="lightly-train",
    recognise=lambda file: file.has_keys("lightly_train", "state_dict"),
    branches=tuple(
        Branch(
            name=name,
            prefix=f"{owner}embedding_model.{inner}",
            projector=(f"{owner}projection_head.layers.", f"{owner}projection_head."),
        )
        for name, owner in _OWNERS.items()
        for inner in _INNER
    ),
    known=("projection_head", "student_", "teacher_", "criterion.", "prediction_head."),
    preprocessing=_preprocessing,
)
