"""MoCo v1 and v2 (facebookresearch/moco), its CIFAR notebook, DisCo, and others with the same two encoders."""

from __future__ import annotations

from repdiag.checkpoints.contents import Contents
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.formats.normalizations import CIFAR10


def _is_notebook(file: Contents) -> bool:
    return file.has("state_dict", "encoder_q.net.")


def _branches(file: Contents) -> tuple[Branch, ...]:
    inner = "net." if _is_notebook(file) else ""
    heads = ("./9.",) if inner else ("./fc.", "./classifier.")
    prefixes = {"query": "encoder_q.", "key": "encoder_k."}
    return tuple(Branch(name=name, prefix=prefix + inner, projector=heads) for name, prefix in prefixes.items())


FORMAT = Format(
    name="moco",
    title="MoCo v1 and v2",
    recognise=lambda file: file.has("state_dict", "encoder_q.", "encoder_k."),
    branches=_branches,
    known=("queue",),
    preprocessing=lambda file: CIFAR10 if _is_notebook(file) else Preprocessing(),
)
