"""BINGO: MoCo's layout without an architecture's name; the key encoder is the frozen, usually larger, teacher."""

from __future__ import annotations

from dataclasses import replace

from repdiag.checkpoints.formats import moco
from repdiag.checkpoints.formats.format import Branch
from repdiag.checkpoints.reading.contents import Contents

_DAMAGE = 0.05  # less of a difference than that is a damaged twin, not another network


def _recognise(file: Contents) -> bool:
    if not file.has("state_dict", "encoder_q.", "encoder_k.") or file.has_keys("arch"):
        return False
    state = file.state("state_dict") or {}
    shapes = [
        {name.removeprefix(prefix): value.shape for name, value in state.items() if name.startswith(prefix)}
        for prefix in ("encoder_q.", "encoder_k.")
    ]
    student, teacher = shapes
    apart = sum(student.get(name) != teacher.get(name) for name in student | teacher)
    return apart > _DAMAGE * len(student | teacher)


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
