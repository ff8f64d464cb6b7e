"""MoCo v1 and v2 (facebookresearch/moco), its CIFAR notebook, DisCo, and others with the same two encoders."""

from __future__ import annotations

from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import CIFAR10
from repdiag.checkpoints.reading.contents import Contents

PLACES = ("state_dict", "model", "")  # the second and third: of files that somebody saved again
_PREFIXES = {"query": "encoder_q.", "key": "encoder_k."}


def _is_notebook(file: Contents) -> bool:
    return any(file.has(place, "encoder_q.net.") for place in PLACES)


def _branches(file: Contents) -> tuple[Branch, ...]:
    inner = "net." if _is_notebook(file) else ""
    heads = ("./9.",) if inner else ("./fc.", "./classifier.")
    return tuple(
        Branch(name=name, place=place, prefix=prefix + inner, projector=heads)
        for place in PLACES
        for name, prefix in _PREFIXES.items()
    )


def _preprocessing(file: Contents) -> Preprocessing:
    if _is_notebook(file):
        return CIFAR10
    if file.has_keys("arch", "epoch", "state_dict"):  # which its own script saves
        return Preprocessing()
    return Preprocessing(origin=Origin("assumed", "ImageNet's, as MoCo's own; others use these names too"))


FORMAT = Format(
    name="moco",
    title="MoCo v1 and v2",
    recognise=lambda file: any(file.has(place, "encoder_q.") for place in PLACES),
    branches=_branches,
    known=("queue",),
    preprocessing=_preprocessing,
)
