"""torchvision's FCN and DeepLab: a ResNet whose last two stages are dilated, or a MobileNetV3, under `backbone.`."""

from __future__ import annotations

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents

_PLACES = ("", "model", "state_dict", "model_ema")


def _place(file: Contents) -> str | None:
    """Return where the network is: its last stage, and a head of DeepLab (branches) or FCN (five layers)."""
    for place in _PLACES:
        state = file.state(place) or {}
        last = state.get("classifier.4.weight")
        head = any(name.startswith("classifier.0.convs.") for name in state) or (last is not None and last.ndim == 4)
        if head and any(name.startswith("backbone.layer4.") for name in state):
            return place
    return None


FORMAT = Format(
    name="torchvision_segmentation",
    title="torchvision's FCN and DeepLab",
    tried="torchvision 0.29",
    recognise=lambda file: _place(file) is not None,
    branches=lambda file: (Branch(name="online", place=_place(file) or "", prefix="backbone."),),
    known=("classifier.", "aux_classifier."),
    facts=Facts().with_origin(
        Origin("names", "what torchvision's segmentation networks do"), output_stride=8, dilated=True
    ),
    preprocessing=Preprocessing(origin=Origin("assumed", "ImageNet's way")),
)
