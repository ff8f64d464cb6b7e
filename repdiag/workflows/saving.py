"""Keeps what a workflow found: tables, judgement, embeddings and figures in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.targets import Target


def save_analysis(analysis: Analysis, out: Path, *, figures: bool = False, overwrite: bool = False) -> list[Path]:
    """Write an analysis to a folder, and return the figures that were drawn."""
    from repdiag.results.writing import prepare, write_analysis
    from repdiag.workflows.figures import draw_analysis

    prepare(out, overwrite=overwrite)
    (out / "run.json").unlink(missing_ok=True)
    drawn = draw_analysis(analysis, out) if figures else []
    write_analysis(analysis, out)
    return drawn


def default_folder(source: Target | Path | None) -> Path:
    """Return RUN/analysis/STEM for a checkpoint of a run directory, else runs/analysis/NAME."""
    from repdiag.embeddings.shards import name_of
    from repdiag.workflows.targets import Target, run_of

    if not isinstance(source, Target):
        return Path("runs") / "analysis" / name_of(Path(source or "vectors"))
    run = run_of(source.path)
    return Path("runs") / "analysis" / source.name if run is None else run / "analysis" / source.path.stem


def embeddings_folder(out: Path | None, name: str, *, overwrite: bool) -> Path:
    """Return where `repdiag embed` stores a set; refuse what is there unless told to replace it."""
    folder = out or Path("runs") / "embeddings" / name.replace("/", "-")
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder} already exists", hint="choose another --out, or give --overwrite")
    return folder
