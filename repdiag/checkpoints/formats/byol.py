"""BYOL in PyTorch: sthalles/PyTorch-BYOL, yaox12/BYOL-PyTorch and lucidrains/byol-pytorch ("projetion" is theirs)."""

from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import PIXELS_AS_THEY_ARE

_ONLINE, _TARGET = "online_network_state_dict", "target_network_state_dict"


def _heads(owner: str) -> tuple[str, ...]:
    """Return where a projection head is: its layers are numbered (sthalles) or named l1, bn1, l2 (yaox12)."""
    return tuple(f"{owner}{name}." for name in ("projetion.net", "projection.net", "projetion", "projection"))


FORMAT = Format(
    name="byol",
    title="BYOL",
    recognise=lambda file: (
        file.has_keys(_ONLINE)
        or file.has("model", "online_network.encoder.")
        or file.has("", "online_encoder.net.", "target_encoder.")
    ),
    branches=(
        Branch(name="online", place=_ONLINE, prefix="encoder.", projector=_heads("")),
        Branch(name="target", place=_TARGET, prefix="encoder.", projector=_heads("")),
        Branch(name="online", place="model", prefix="online_network.encoder.", projector=_heads("online_network.")),
        Branch(name="target", place="model", prefix="target_network.encoder.", projector=_heads("target_network.")),
        Branch(name="online", place="", prefix="online_encoder.net.", projector=("online_encoder.projector.",)),
        Branch(name="target", place="", prefix="target_encoder.net.", projector=("target_encoder.projector.",)),
    ),
    known=("predictor.", "online_predictor.", "net.", "augment"),  # `net` is the online encoder once more
    preprocessing=lambda file: PIXELS_AS_THEY_ARE if file.has_keys(_ONLINE) else Preprocessing(),
    arch=lambda file: file.setting("config", "model", "backbone", "type"),
)
