"""OpenSelfSup, MMSelfSup and MMPretrain (open-mmlab): `backbone` beside twins under the names of each method."""

from __future__ import annotations

from repdiag.checkpoints.formats.format import Branch, Facts, Format
from repdiag.checkpoints.reading.contents import Contents

_TWINS = {"key": "encoder_k.", "target": "target_net.", "momentum": "momentum_encoder.", "teacher": "teacher."}
_INNER = ("mlp.", "projection_neck.", "fc.", "")  # of a neck: numbered layers, or fc0, bn0, fc1, ...


def _necks(*owners: str) -> tuple[str, ...]:
    return tuple(owner + inner for owner in owners for inner in _INNER)


def _heads(file: Contents) -> Facts:
    contrast = file.has("state_dict", "momentum_encoder.")
    return Facts(heads={384: 12 if contrast else 6, 768: 12, 1024: 16}, resample="bicubic")


FORMAT = Format(
    name="mm",
    title="OpenSelfSup, MMSelfSup, MMPretrain",
    recognise=lambda file: file.has_keys("meta", "state_dict") and file.has("state_dict", "backbone."),
    branches=(
        Branch(name="online", prefix="backbone.", projector=_necks("neck.", "encoder_q.1.", "online_net.1.")),
        *(
            Branch(name=name, prefix=f"{twin}{wrapper}0.", projector=_necks(f"{twin}{wrapper}1."))
            for name, twin in _TWINS.items()
            for wrapper in ("module.", "")
        ),
    ),
    known=("queue", "head.", "neck.", "encoder_q.", "online_net.", "data_preprocessor.", *_TWINS.values()),
    facts=_heads,
    arch=lambda file: file.setting("meta", "arch"),
)
