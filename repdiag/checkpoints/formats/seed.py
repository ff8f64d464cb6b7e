"""SEED (jacobswan1/SEED): a student distilled from a frozen, usually larger, teacher; `arch` is the student's."""

from repdiag.checkpoints.formats.format import Branch, Format

FORMAT = Format(
    name="seed",
    title="SEED",
    recognise=lambda file: file.has("state_dict", "student.", "teacher.") and not file.has_keys("config"),
    branches=(
        Branch(name="student", prefix="student.", projector=("./fc.",)),
        Branch(name="teacher", prefix="teacher.", projector=("./fc.",)),
    ),
    known=("queue",),
    notes=("the teacher is another, frozen network, not an average of the student",),
)
