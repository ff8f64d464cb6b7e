"""`Analysis`: everything that one analysis found, ready to be read, shown, kept and reported."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.checkpoints.encoder import EncoderInfo
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.encoder_cost import EncoderCost
    from repdiag.core.metric_table import MetricTable
    from repdiag.diagnosis.row_checks.records import RowChecks
    from repdiag.diagnosis.verdict import Diagnosis
    from repdiag.workflows.report import MapMethod
    from repdiag.workflows.rows import AnalyzedImages


@dataclass(frozen=True, kw_only=True, repr=False)
class Analysis:
    """The result of `analyze`: one encoder, or one set of vectors, measured and judged.

    `embeddings` holds an `EmbeddingSet` for each split, `untrained` the val set of the untrained copy. `info` describes
    the checkpoint (None for vectors). `row_checks` lists rows worth a look. `cost` is the deployment cost, where it was
    measured. `drift` compares the neighbours with those of the reference. `notes` say what to know about the numbers;
    `excluded` names unreadable images.

    Example:
        >>> import numpy as np
        >>> import repdiag
        >>> rng = np.random.default_rng(0)
        >>> analysis = repdiag.analyze(rng.normal(size=(60, 8)), labels=np.arange(60) % 3, metrics=["uniformity"])
        >>> analysis.headline()["metric"].tolist()
        ['uniformity']
    """

    name: str
    table: MetricTable
    diagnosis: Diagnosis
    embeddings: dict[str, EmbeddingSet]
    per_class: pd.DataFrame
    per_row: pd.DataFrame | None = None
    untrained: EmbeddingSet | None = None
    row_checks: RowChecks | None = None
    cost: EncoderCost | None = None
    info: EncoderInfo | None = None
    reference: dict[str, Any] | None = None
    drift: pd.DataFrame | None = None
    rows: AnalyzedImages | None = None
    excluded: list[dict[str, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = "analyze"
    training: Path | None = None

    @property
    def summary(self) -> str:
        """The verdict in one sentence."""
        return self.diagnosis.summary

    @property
    def size(self) -> tuple[int, int]:
        """Rows and dimensions of the judged features."""
        rows, dims = self.embeddings["val"].features.shape
        return int(rows), int(dims)

    def headline(self) -> pd.DataFrame:
        """Return the headline metrics: columns metric, label, value, ci_low, ci_high, n, direction."""
        from repdiag.results.frames.headline import headline_frame

        return headline_frame(self.table.where(checkpoint=self.name))

    def save(self, folder: str | Path, *, figures: bool = False, overwrite: bool = False) -> Path:
        """Write tables, verdict, embeddings and optional figures to a folder that `repdiag report` reads."""
        from repdiag.workflows.saving import save_analysis

        save_analysis(self, Path(folder), figures=figures, overwrite=overwrite)
        return Path(folder)

    def report(self, path: str | Path, *, map_method: MapMethod = "umap", figures: bool = True) -> Path:
        """Write one HTML page that opens offline, and return its path."""
        from repdiag.workflows.report import build_report

        with tempfile.TemporaryDirectory(prefix="repdiag-") as kept:
            folder = self.save(Path(kept) / "result", figures=figures)
            return build_report(folder, Path(path), map_method=map_method)

    def with_diagnosis(self, diagnosis: Diagnosis) -> Analysis:
        """Return the same analysis with another diagnosis."""
        return replace(self, diagnosis=diagnosis)

    def __repr__(self) -> str:
        from repdiag.results.showing import analysis_text

        return analysis_text(self)

    def _repr_html_(self) -> str:
        from repdiag.results.showing import analysis_html

        return analysis_html(self)
