"""SimSiam (facebookresearch/simsiam): one encoder, whose `fc` is the projector, and a predictor."""

from repdiag.checkpoints.formats.format import Branch, Format

FORMAT = Format(
    name="simsiam",
    title="SimSiam",
    recognise=lambda file: file.has("state_dict", "encoder.fc.0.", "predictor.0."),
    branches=(Branch(name="online", prefix="encoder.", projector=("./fc.",)),),
    known=("predictor.",),
)
