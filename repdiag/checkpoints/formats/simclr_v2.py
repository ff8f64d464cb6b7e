"""SimCLR v2 in PyTorch (Separius/SimCLRv2-Pytorch): network and head side by side; images are not normalised."""

from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.formats.normalizations import PIXELS_AS_THEY_ARE

FORMAT = Format(
    name="simclr_v2",
    title="SimCLR v2 (converted)",
    recognise=lambda file: file.has_keys("resnet") and file.has("resnet", "net.0.0.weight", "net.1.blocks.0."),
    branches=(Branch(name="online", place="resnet", projector=("head:layers.",)),),
    preprocessing=PIXELS_AS_THEY_ARE,
    arch=lambda file: None,  # noqa: ARG005
)
