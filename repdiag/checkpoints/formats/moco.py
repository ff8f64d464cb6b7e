"""MoCo v1 and v2 (facebookresearch/moco), its CIFAR notebook, and projects with the same two encoders."""

from repdiag.checkpoints.formats.format import Branch, Format

HEADS = ("./fc.", "./classifier.")

FORMAT = Format(
    name="moco",
    title="MoCo v1 and v2",
    recognise=lambda file: file.has("state_dict", "encoder_q.", "encoder_k."),
    branches=lambda file: tuple(
        Branch(
            name=name, prefix=f"{prefix}net." if file.has("state_dict", f"{prefix}net.") else prefix, projector=HEADS
        )
        for name, prefix in (("query", "encoder_q."), ("key", "encoder_k."))
    ),
    known=("queue", "queue_ptr"),
)
