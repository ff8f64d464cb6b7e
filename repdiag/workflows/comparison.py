"""`Comparison`: encoders side by side on the same rows, ready to be read, shown, kept and reported."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.diagnosis.ranking import Ranking
    from repdiag.diagnosis.verdict import Diagnosis
    from repdiag.workflows.common_dimension import CommonReading
    from repdiag.workflows.pairs import PairTables
    from repdiag.workflows.probed import Probed
    from repdiag.workflows.report import MapMethod


class KeptFolder:
    """A temporary folder that goes when nobody holds it any more, or when Python ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="repdiag-compare-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """The result of `compare`: one joined table, one diagnosis per checkpoint, and the checkpoints that failed or are
    missing.

    `folder` holds the results, `folders` those of each checkpoint. `common` repeats the metrics at a common number of
    dimensions, if the encoders differ in width. `paired` holds the paired tests. `drift` compares neighbours between
    the reference (or the first encoder) and each other one. `deployment` is the cost and quality of each encoder on
    this machine, `probed` the downstream results. `notes` say what to know about the numbers.

    Example:
        >>> import numpy as np
        >>> import repdiag
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(60) % 3
        >>> tight = np.eye(3)[labels] + 0.1 * rng.normal(size=(60, 3))
        >>> loose = np.eye(3)[labels] + 1.0 * rng.normal(size=(60, 3))
        >>> comparison = repdiag.compare({"tight": tight, "loose": loose}, labels=labels)
        >>> list(comparison.diagnoses)
        ['tight', 'loose']
    """

    table: MetricTable
    verdicts: dict[str, Any]
    folder: Path
    folders: dict[str, Path]
    failures: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    common: CommonReading | None = None
    paired: PairTables | None = None
    reference: str | None = None
    probed: tuple[Probed, ...] = ()
    drift: pd.DataFrame | None = None
    deployment: pd.DataFrame | None = None
    ranked: Ranking | None = None
    # What was joined, converted or left out when vectors were read.
    reading: tuple[str, ...] = ()
    # Keeps a folder that nobody named for as long as the comparison lives.
    kept: KeptFolder | None = None

    @property
    def diagnoses(self) -> dict[str, Diagnosis]:
        """The diagnosis of each checkpoint, by name."""
        from repdiag.diagnosis.verdict import Diagnosis

        return {name: Diagnosis.from_dict(verdict) for name, verdict in self.verdicts.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the numbers."""
        return (*self.reading, *(() if self.common is None else (self.common.note,)))

    @property
    def summary(self) -> str:
        """Which encoder to take and what it costs, then the verdict on each checkpoint, one line each."""
        judged = [f"{name}: {found.summary}" for name, found in self.diagnoses.items()]
        return "\n".join([self.headline_sentence, *judged] if self.headline_sentence else judged)

    @property
    def headline_sentence(self) -> str:
        """Which encoder to take, with what probability, and its cost; empty if nothing can be ranked."""
        return "" if self.ranked is None else self.ranked.headline

    @property
    def pairs(self) -> pd.DataFrame:
        """Answers for every two checkpoints on the same rows, the first compared with the second.

        Columns: first, second, question ("over_clustering", "grouping", "overfitting", "accuracy"), answer, size,
        ci_low, ci_high, p_holm, measure. Empty for a single checkpoint, and without labels. The tests of every
        metric are in `paired.tests`.
        """
        import pandas as pd

        from repdiag.diagnosis.pair_answers import COLUMNS

        return pd.DataFrame(columns=list(COLUMNS)) if self.paired is None else self.paired.answers

    def ranking(self) -> pd.DataFrame:
        """Return which encoder to take: by LogME, R-precision and a small probe, each with the probability to be best.

        Columns: checkpoint, rank, p_best, by, parameters, width, gflops, ms_per_image (measured where the encoder was
        analyzed). `ranking().attrs["summary"]` says it in words, and whether size alone would have chosen the same.
        Empty for a single encoder, and without labels and views.
        """
        import pandas as pd

        from repdiag.diagnosis.ranking import COLUMNS

        if self.ranked is None:
            return pd.DataFrame(columns=list(COLUMNS))
        frame = self.ranked.frame.copy()
        frame.attrs["summary"] = self.ranked.summary
        return frame

    def headline(self) -> pd.DataFrame:
        """Return the headline metrics, one column per checkpoint."""
        from repdiag.results.frames.headline import headline_frame

        names = self.table.checkpoints("trained", "reference")
        columns = {
            name: headline_frame(self.table.where(checkpoint=name)).set_index("label")["value"] for name in names
        }
        import pandas as pd

        return pd.DataFrame(columns)

    def save(self, folder: str | Path) -> Path:
        """Copy the results to a new folder, and return it."""
        from repdiag.results.transaction import copy_result

        out = Path(folder)
        if out.exists() and any(out.iterdir()):
            raise UsageError(f"{out} is not empty", hint="choose another folder")
        copy_result(self.folder, out)
        return out

    def report(self, path: str | Path, *, map_method: MapMethod = "umap") -> Path:
        """Write one HTML page that opens offline, and return its path."""
        from repdiag.results.transaction import added
        from repdiag.workflows.figures import FOLDER, draw_comparison
        from repdiag.workflows.report import build_report

        if not (self.folder / FOLDER).is_dir():
            with added(self.folder) as fresh:
                draw_comparison(self.table, self.folders, fresh, deployment=self.deployment)
        return build_report(self.folder, Path(path), map_method=map_method)

    def __repr__(self) -> str:
        from repdiag.results.showing import comparison_text

        return comparison_text(self)

    def _repr_html_(self) -> str:
        from repdiag.results.showing import comparison_html

        return comparison_html(self)
