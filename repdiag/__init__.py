"""repdiag: is this encoder any good, and what is wrong with it?

The public names load on first use, so that importing the package (and `repdiag --help`) stays fast. Each has a
docstring with an example.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from repdiag.core.version import __version__

if TYPE_CHECKING:
    from repdiag import metrics, plots, report
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.checkpoints.load import load_encoder
    from repdiag.core import errors
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.core.provenance import Provenance
    from repdiag.data.datasets import open_dataset
    from repdiag.diagnosis.diagnose import diagnose
    from repdiag.diagnosis.verdict import Diagnosis
    from repdiag.embeddings.as_embedding_set import as_embedding_set
    from repdiag.metrics.evaluate import evaluate
    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.analyze import analyze
    from repdiag.workflows.compare import compare
    from repdiag.workflows.comparison import Comparison
    from repdiag.workflows.drift import drift
    from repdiag.workflows.drift_result import Drift
    from repdiag.workflows.embed import embed
    from repdiag.workflows.extract import extract
    from repdiag.workflows.probe import probe
    from repdiag.workflows.train import train

_PUBLIC = {
    "Analysis": "repdiag.workflows.analysis",
    "Comparison": "repdiag.workflows.comparison",
    "Diagnosis": "repdiag.diagnosis.verdict",
    "Drift": "repdiag.workflows.drift_result",
    "EmbeddingSet": "repdiag.core.embedding_set",
    "Encoder": "repdiag.checkpoints.encoder",
    "MetricTable": "repdiag.core.metric_table",
    "Provenance": "repdiag.core.provenance",
    "analyze": "repdiag.workflows.analyze",
    "as_embedding_set": "repdiag.embeddings.as_embedding_set",
    "compare": "repdiag.workflows.compare",
    "diagnose": "repdiag.diagnosis.diagnose",
    "drift": "repdiag.workflows.drift",
    "embed": "repdiag.workflows.embed",
    "evaluate": "repdiag.metrics.evaluate",
    "extract": "repdiag.workflows.extract",
    "load_encoder": "repdiag.checkpoints.load",
    "open_dataset": "repdiag.data.datasets",
    "probe": "repdiag.workflows.probe",
    "train": "repdiag.workflows.train",
}
_MODULES = {
    "errors": "repdiag.core.errors",
    "metrics": "repdiag.metrics",
    "plots": "repdiag.plots",
    "report": "repdiag.report",
}

__all__ = [
    "Analysis",
    "Comparison",
    "Diagnosis",
    "Drift",
    "EmbeddingSet",
    "Encoder",
    "MetricTable",
    "Provenance",
    "__version__",
    "analyze",
    "as_embedding_set",
    "compare",
    "diagnose",
    "drift",
    "embed",
    "errors",
    "evaluate",
    "extract",
    "load_encoder",
    "metrics",
    "open_dataset",
    "plots",
    "probe",
    "report",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'repdiag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
