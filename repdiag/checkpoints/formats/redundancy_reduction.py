"""Barlow Twins and VICReg (facebookresearch): a `backbone` and a `projector` under `model`."""

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing

_BRANCHES = (Branch(name="online", place="model", prefix="backbone.", projector=("projector.",)),)

BARLOW_TWINS = Format(
    name="barlow_twins",
    title="Barlow Twins",
    recognise=lambda file: file.has("model", "backbone.", "projector.", "bn."),
    branches=_BRANCHES,
    known=("bn.",),
)
VICREG = Format(
    name="vicreg",
    title="VICReg",
    recognise=lambda file: file.has("model", "backbone.", "projector."),
    branches=_BRANCHES,
    preprocessing=Preprocessing(origin=Origin("assumed", "ImageNet's, as VICReg's own; others use these names too")),
)
