"""SwAV (facebookresearch/swav): bare names beside a projection head and prototypes; a std of 0.228 in red."""

from dataclasses import replace

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import SWAV
from repdiag.checkpoints.reading.contents import Contents

_PLACES = ("state_dict", "model", "")


def _preprocessing(file: Contents) -> Preprocessing:
    if any(file.has(place, "prototypes.") for place in _PLACES):
        return SWAV
    return replace(SWAV, origin=Origin("assumed", "SwAV's, whose prototypes are not in the file"))


FORMAT = Format(
    name="swav",
    title="SwAV",
    recognise=lambda file: any(file.has(place, "projection_head.", "conv1.", "layer1.") for place in _PLACES),
    branches=tuple(Branch(name="online", place=place, projector=("./projection_head.",)) for place in _PLACES),
    heads=("projection_head.", "prototypes.", "fc."),
    preprocessing=_preprocessing,
    notes=("the queue of a SwAV run is in a separate file (queue0.pth)",),
)
