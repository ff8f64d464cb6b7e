"""lightly: Lightning files of its examples, whose attribute names the user chose after its documentation."""

from repdiag.checkpoints.formats.format import Branch, Format

_HEADS = ("projection_head.layers.", "student_projection_head.layers.", "student_head.layers.", "projection_head.")
_MOMENTUM_HEADS = ("projection_head_momentum.layers.", "teacher_projection_head.layers.", "teacher_head.layers.")

FORMAT = Format(
    name="lightly",
    title="lightly",
    recognise=lambda file: (
        file.has_keys("pytorch-lightning_version")
        and any(
            file.has("state_dict", encoder, head)
            for encoder in ("backbone.", "student_backbone.", "online_backbone.")
            for head in ("projection_head.", "student_head.", "student_projection_head.", "prediction_head.")
        )
    ),
    branches=(
        Branch(name="online", prefix="backbone.", projector=_HEADS),
        Branch(name="online", prefix="online_backbone.", projector=_HEADS),
        Branch(name="student", prefix="student_backbone.", projector=_HEADS),
        Branch(name="momentum", prefix="backbone_momentum.", projector=_MOMENTUM_HEADS),
        Branch(name="teacher", prefix="teacher_backbone.", projector=_MOMENTUM_HEADS),
    ),
    known=("projection_head", "prediction_head.", "student_head.", "teacher_head.", "criterion.", "prototypes."),
)
