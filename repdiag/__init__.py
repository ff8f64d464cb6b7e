"""repdiag: is this encoder any good, and what is wrong with it?

The public names load on first use, so that importing the package (and `repdiag --help`) stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from repdiag.core.version import __version__

if TYPE_CHECKING:
    from repdiag import metrics
    from repdiag.checkpoints.load import load_encoder
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.core.provenance import Provenance
    from repdiag.diagnosis.diagnose import diagnose
    from repdiag.embeddings.extract import extract
    from repdiag.metrics.evaluate import evaluate

_PUBLIC = {
    "EmbeddingSet": "repdiag.core.embedding_set",
    "MetricTable": "repdiag.core.metric_table",
    "Provenance": "repdiag.core.provenance",
    "diagnose": "repdiag.diagnosis.diagnose",
    "evaluate": "repdiag.metrics.evaluate",
    "extract": "repdiag.embeddings.extract",
    "load_encoder": "repdiag.checkpoints.load",
}

__all__ = [
    "EmbeddingSet",
    "MetricTable",
    "Provenance",
    "__version__",
    "diagnose",
    "evaluate",
    "extract",
    "load_encoder",
    "metrics",
]


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module("repdiag.metrics")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'repdiag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
