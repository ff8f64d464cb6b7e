"""SSLight (saic-fi/SSLight): every method behind one layout; its settings are a pickled config that is read inertly."""

from __future__ import annotations

from typing import Any

from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.reading.contents import Contents

_ENCODER = "backbone.encoder."


def _training(file: Contents) -> dict[str, Any]:
    return {
        "method": "moco" if file.has("state_dict", "encoder_q.") else None,
        "temperature": file.setting("config", "MOCO", "TEMPERATURE"),
        "epochs": file.setting("config", "SOLVER", "NUM_EPOCHS"),
    }


FORMAT = Format(
    name="sslight",
    reads=("config: MODEL.BACKBONE_ARCH",),
    title="SSLight",
    recognise=lambda file: file.has_keys("config", "steps", "state_dict"),
    branches=(
        Branch(name="query", prefix=f"encoder_q.{_ENCODER}", projector=("encoder_q.head.mlp.",)),
        Branch(name="key", prefix=f"encoder_k.{_ENCODER}", projector=("encoder_k.head.mlp.",)),
        Branch(name="student", prefix=f"student.{_ENCODER}", projector=("student.head.mlp.",)),
        Branch(name="teacher", prefix=f"teacher.{_ENCODER}", projector=("teacher.head.mlp.",)),
        Branch(name="online", prefix=f"network.{_ENCODER}", projector=("network.head.projection.mlp.",)),
    ),
    known=("queue", "classifier.", "center", "student.head.", "teacher.head.", "network.head."),
    arch=lambda file: file.setting("config", "MODEL", "BACKBONE_ARCH"),
    training=_training,
)
