"""SwAV (facebookresearch/swav): bare names beside a projection head and prototypes; a std of 0.228 in red."""

from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.formats.normalizations import SWAV

_PLACES = ("state_dict", "model", "")

FORMAT = Format(
    name="swav",
    title="SwAV",
    recognise=lambda file: any(file.has(place, "projection_head.", "conv1.", "layer1.") for place in _PLACES),
    branches=tuple(Branch(name="online", place=place, projector=("./projection_head.",)) for place in _PLACES),
    heads=("projection_head.", "prototypes.", "fc."),
    preprocessing=SWAV,
    notes=("the queue of a SwAV run is in a file of its own (queue0.pth)",),
)
