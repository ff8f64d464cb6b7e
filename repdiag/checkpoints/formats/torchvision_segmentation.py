"""torchvision's FCN, DeepLab and LR-ASPP: a ResNet or a MobileNetV3 whose last stages are dilated, in `backbone.`."""

from __future__ import annotations

from torch import nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents, State

_PLACES = ("", "model", "state_dict", "model_ema")
_TRUNKS = ("backbone.layer4.", "backbone.16.0.")  # a ResNet's last stage, and the last layer of a MobileNetV3-L
_ITS_CODE = Origin("names", "what torchvision's segmentation networks do")


def _place(file: Contents) -> str | None:
    """Return where the network is: its last stage, and a head of DeepLab (branches), FCN (five layers) or LR-ASPP."""
    for place in _PLACES:
        state = file.state(place) or {}
        last = state.get("classifier.4.weight")
        head = any(name.startswith(("classifier.0.convs.", "classifier.cbr.")) for name in state)
        if (head or (last is not None and last.ndim == 4)) and any(name.startswith(_TRUNKS) for name in state):
            return place
    return None


def _networks(contents: Contents, state: State, facts: Facts) -> list[Candidate]:
    """Return the dilated MobileNetV3, where the file has one: what is dilated has no tensor of its own."""
    del contents
    if "features.16.0.weight" not in state:
        return []
    told = facts.origin_of("dilated").source == "told"
    strided = told and facts.dilated is False
    origin = facts.origin_of("dilated") if told else _ITS_CODE
    shown = Fact.of("dilation", "none" if strided else "in the place of the last stride", origin, flag="--dilated")
    name = "torchvision:mobilenet_v3_large" + ("" if strided else " (dilated)")
    return [Candidate(name=name, build=lambda: _mobilenet(dilated=not strided), facts=(shown,))]


def _mobilenet(*, dilated: bool) -> nn.Module:
    from torchvision.models import mobilenet_v3_large

    network: nn.Module = mobilenet_v3_large(weights=None, dilated=dilated)
    network.classifier = nn.Identity()
    return network


FORMAT = Format(
    name="torchvision_segmentation",
    title="torchvision's FCN, DeepLab and LR-ASPP",
    tried="torchvision 0.29",
    recognise=lambda file: _place(file) is not None,
    branches=lambda file: (Branch(name="online", place=_place(file) or "", prefix="backbone."),),
    known=("classifier.", "aux_classifier."),
    facts=Facts().with_origin(_ITS_CODE, output_stride=8, dilated=True),
    networks=_networks,
    preprocessing=Preprocessing(origin=Origin("assumed", "ImageNet's way")),
)
