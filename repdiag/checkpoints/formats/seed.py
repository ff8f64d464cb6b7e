"""SEED (jacobswan1/SEED): a student distilled from a frozen, usually larger, teacher; `arch` is the student's."""

from repdiag.checkpoints.formats.format import Branch, Format

_HEADS = ("./fc.", "./projection_head.")  # the second: SwAV's network as a teacher

FORMAT = Format(
    name="seed",
    title="SEED",
    recognise=lambda file: file.has("state_dict", "student.", "teacher.") and not file.has_keys("config"),
    branches=(
        Branch(name="student", prefix="student.", projector=_HEADS),
        Branch(name="teacher", prefix="teacher.", projector=_HEADS),
    ),
    heads=("fc.", "projection_head.", "prototypes"),
    known=("queue",),
    notes=("the teacher is another, frozen network, not an average of the student",),
)
