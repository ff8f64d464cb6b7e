"""SimCLR in PyTorch (sthalles/SimCLR): a torchvision ResNet whose `fc` is the projection head; no normalisation."""

from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.formats.normalizations import PIXELS_AS_THEY_ARE

FORMAT = Format(
    name="simclr",
    title="SimCLR (PyTorch)",
    recognise=lambda file: (
        file.has("state_dict", "backbone.fc.0.", "backbone.fc.2.") and not file.has_keys("pytorch-lightning_version")
    ),
    branches=(Branch(name="online", prefix="backbone.", projector=("./fc.",)),),
    preprocessing=PIXELS_AS_THEY_ARE,
)
