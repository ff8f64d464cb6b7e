"""stable-pretraining: Lightning files with the state of its probes and metrics among the weights."""

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing

FORMAT = Format(
    name="stable_pretraining",
    title="stable-pretraining",
    recognise=lambda file: (
        file.has_keys("pytorch-lightning_version")
        and (
            file.has_keys("spt_run_dir")
            or file.has("state_dict", "callbacks_modules.")
            or file.has("state_dict", "callbacks_metrics.")
        )
    ),
    branches=(
        Branch(name="teacher", prefix="backbone.teacher.", projector=("projector.teacher.", "projector.")),
        Branch(name="student", prefix="backbone.student.", projector=("projector.student.", "projector.")),
        Branch(name="online", prefix="backbone.", projector=("projector.",)),
    ),
    known=("callbacks_modules.", "callbacks_metrics.", "predictor."),
    facts=Facts(stem_padding=1),
    preprocessing=Preprocessing(origin=Origin("assumed", "ImageNet's; its runs choose it with the data")),
)
