"""BYOL in PyTorch: sthalles/PyTorch-BYOL, yaox12/BYOL-PyTorch and lucidrains/byol-pytorch ("projetion" is theirs)."""

from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import PIXELS_AS_THEY_ARE

_ONLINE, _TARGET = "online_network_state_dict", "target_network_state_dict"

FORMAT = Format(
    name="byol",
    title="BYOL",
    recognise=lambda file: (
        file.has_keys(_ONLINE)
        or file.has("model", "online_network.encoder.")
        or file.has("", "online_encoder.net.", "target_encoder.")
    ),
    branches=(
        Branch(name="online", place=_ONLINE, prefix="encoder.", projector=("projetion.net.", "projection.net.")),
        Branch(name="target", place=_TARGET, prefix="encoder.", projector=("projetion.net.", "projection.net.")),
        Branch(name="online", place="model", prefix="online_network.encoder."),
        Branch(name="target", place="model", prefix="target_network.encoder."),
        Branch(name="online", place="", prefix="online_encoder.net.", projector=("online_encoder.projector.",)),
        Branch(name="target", place="", prefix="target_encoder.net.", projector=("target_encoder.projector.",)),
    ),
    known=("predictor.", "online_predictor.", "projetion.", "online_network.projetion.", "target_network.projetion."),
    preprocessing=lambda file: PIXELS_AS_THEY_ARE if file.has_keys(_ONLINE) else Preprocessing(),
    arch=lambda file: file.setting("config", "model", "backbone", "type"),
)
