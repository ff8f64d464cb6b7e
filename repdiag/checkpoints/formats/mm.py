"""OpenSelfSup, MMSelfSup and MMPretrain (open-mmlab): `backbone` beside twins under the names of each method."""

from __future__ import annotations

from repdiag.checkpoints.contents import Contents
from repdiag.checkpoints.formats.format import Branch, Facts, Format

_TWINS = {
    "key": ("encoder_k.module.0.", "encoder_k.0."),
    "target": ("target_net.module.0.", "target_net.0."),
    "momentum": ("momentum_encoder.module.0.", "momentum_encoder.0."),
    "teacher": ("teacher.module.0.", "teacher.0."),
}
_NECKS = ("neck.mlp.", "neck.", "encoder_q.1.mlp.")


def _heads(file: Contents) -> Facts:
    contrast = file.has("state_dict", "momentum_encoder.")
    return Facts(heads={384: 12 if contrast else 6, 768: 12, 1024: 16}, resample="bicubic")


FORMAT = Format(
    name="mm",
    title="OpenSelfSup, MMSelfSup, MMPretrain",
    recognise=lambda file: file.has_keys("meta", "state_dict") and file.has("state_dict", "backbone."),
    branches=(
        Branch(name="online", prefix="backbone.", projector=_NECKS),
        *(Branch(name=name, prefix=prefix) for name, prefixes in _TWINS.items() for prefix in prefixes),
    ),
    known=("queue", "head.", "neck.", "encoder_q.", "encoder_k.", "online_net.", "target_net.", "data_preprocessor."),
    facts=_heads,
    arch=lambda file: file.setting("meta", "arch"),
)
