"""All protocols by name."""

from __future__ import annotations

from repdiag.core.errors import unknown_name
from repdiag.downstream.detection import DETECTION, SEGMENTATION
from repdiag.downstream.fine_tuning import FINE_TUNING
from repdiag.downstream.frozen import FROZEN
from repdiag.downstream.last_blocks import DINO_BLOCKS
from repdiag.downstream.linear import KORNBLITH, LINEAR
from repdiag.downstream.neighbours import FEW_SHOT, KNN, RETRIEVAL
from repdiag.downstream.protocol import Protocol
from repdiag.downstream.support_vectors import VOC_SVM

PRESETS: tuple[Protocol, ...] = (
    LINEAR,
    KNN,
    FEW_SHOT,
    RETRIEVAL,
    KORNBLITH,
    VOC_SVM,
    DINO_BLOCKS,
    *FROZEN,
    *FINE_TUNING,
    DETECTION,
    SEGMENTATION,
)


def get_protocol(name: str) -> Protocol:
    """Return a protocol; raises `UsageError` with the nearest names for one that does not exist.

    Example:
        >>> get_protocol("linear").settings.rows
        'standardised'
    """
    known = {protocol.name: protocol for protocol in PRESETS}
    if name not in known:
        raise unknown_name("protocol", name, known, hint="repdiag probe --list")
    return known[name]
