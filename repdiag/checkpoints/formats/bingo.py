"""BINGO: MoCo's layout without an architecture's name; the key encoder is the frozen, usually larger, teacher."""

from __future__ import annotations

from dataclasses import replace

from repdiag.checkpoints.contents import Contents
from repdiag.checkpoints.formats import moco
from repdiag.checkpoints.formats.format import Branch


def _recognise(file: Contents) -> bool:
    if not file.has("state_dict", "encoder_q.", "encoder_k.") or file.has_keys("arch"):
        return False
    state = file.state("state_dict") or {}
    shapes = [
        {name.removeprefix(prefix): value.shape for name, value in state.items() if name.startswith(prefix)}
        for prefix in ("encoder_q.", "encoder_k.")
    ]
    return shapes[0] != shapes[1]


FORMAT = replace(
    moco.FORMAT,
    name="bingo",
    title="BINGO",
    recognise=_recognise,
    branches=(
        Branch(name="student", prefix="encoder_q.", projector=("./fc.",)),
        Branch(name="teacher", prefix="encoder_k.", projector=("./fc.",)),
    ),
    notes=("the teacher is another, frozen network, not an average of the student",),
)
