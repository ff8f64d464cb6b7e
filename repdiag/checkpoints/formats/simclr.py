"""SimCLR in PyTorch: sthalles/SimCLR, whose `fc` is the projection head, and Google's weights converted by tonylins.

Neither normalises images.
"""

from __future__ import annotations

import re

from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.formats.normalizations import PIXELS_AS_THEY_ARE
from repdiag.checkpoints.reading.contents import Contents


def _is_converted(file: Contents) -> bool:
    """A plain ResNet-50 of width 1, 2 or 4: nothing but the file's name tells that it is SimCLR's."""
    return bool(re.match(r"resnet50-[124]x\.pth", file.file_name)) and file.has(
        "state_dict", "conv1.", "layer4.", "fc."
    )


FORMAT = Format(
    name="simclr",
    title="SimCLR (PyTorch)",
    recognise=lambda file: (
        file.has("state_dict", "backbone.fc.0.", "backbone.fc.2.")
        and file.has_keys("arch", "epoch")  # its script saves both; without them it is somebody's own SimCLR
        and not file.has_keys("pytorch-lightning_version")
    ),
    branches=(Branch(name="online", prefix="backbone.", projector=("./fc.",)),),
    preprocessing=PIXELS_AS_THEY_ARE,
)
CONVERTED = Format(
    name="simclr_converted",
    title="SimCLR v1 (converted)",
    recognise=_is_converted,
    branches=(Branch(name="online"),),
    preprocessing=PIXELS_AS_THEY_ARE,
    notes=(
        "taken for Google's SimCLR by the file's name, so that images are not normalised; --mean and --std otherwise",
        "the converter leaves the classifier's bias as it was drawn",
    ),
)
