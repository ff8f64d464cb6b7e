"""Keeps what a workflow found: tables, judgement, embeddings and figures in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.results.places import default_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from repdiag.core.metric_table import MetricTable
    from repdiag.core.progress import Counting
    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.targets import Target


def save_analysis(
    analysis: Analysis,
    out: Path,
    *,
    figures: bool = False,
    overwrite: bool = False,
    before: Callable[[], None] | None = None,
    counting: Counting | None = None,
) -> list[Path]:
    """Write an analysis to a folder, whole or not at all, and return the figures that were drawn.

    `before` is called when all is written and nothing is in its place yet; `counting` shows the stages of drawing.
    """
    from repdiag.core.progress import listening
    from repdiag.report.headline_csv import write_headline
    from repdiag.results.transaction import replaced
    from repdiag.results.writing import write_analysis
    from repdiag.workflows.figures import draw_analysis

    with listening(counting), replaced(out, overwrite=overwrite, before=before) as fresh:
        drawn = draw_analysis(analysis, fresh) if figures else []
        write_analysis(analysis, fresh)
        write_headline(analysis.table, fresh)
    return [out / path.relative_to(fresh) for path in drawn]


def save_evaluation(table: MetricTable, out: Path, notes: Sequence[str], **options: Any) -> None:
    """Write the numbers of vectors to a folder, whole or not at all."""
    from repdiag.results.transaction import replaced
    from repdiag.results.writing import write_run, write_tables

    with replaced(out, overwrite=False, again="evaluate") as fresh:
        write_tables(table, fresh)
        write_run(fresh, kind="evaluate", options=options, notes=list(notes))


def default_folder(source: Target | Path | None) -> Path:
    """Return where an analysis goes by default: RUN/analysis/STEM for a run's checkpoint, else runs/analysis/NAME."""
    from repdiag.embeddings.shards import name_of
    from repdiag.workflows.targets import Target, run_of

    if not isinstance(source, Target):
        return default_place("analysis", name_of(Path(source or "vectors")))
    run = run_of(source.path)
    return default_place("analysis", source.name if run is None else source.path.stem, run=run)


def embeddings_folder(out: Path | None, target: Target, split: str, *, overwrite: bool) -> Path:
    """Return where `repdiag embed` stores a set; refuse what is there unless told to replace it."""
    from repdiag.results.transaction import check_place
    from repdiag.workflows.targets import run_of

    run = run_of(target.path)
    name = target.name if run is None else target.path.stem
    folder = out or default_place("embeddings", f"{name}-{split}", run=run)
    check_place(folder, overwrite=overwrite)
    return folder
