"""Composition of a comparison: every checkpoint on the same rows and views, resumable, one failure stops no other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import RepdiagError, UsageError

if TYPE_CHECKING:
    from repdiag.cli.analysis import AnalysisOptions
    from repdiag.core.metric_table import MetricTable


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The joined table, one judgement a checkpoint, and what could not be analyzed and why."""

    table: MetricTable
    verdicts: dict[str, Any]
    folders: dict[str, Path]
    failures: dict[str, str] = field(default_factory=dict)


def compare_checkpoints(paths: dict[str, Path], options: AnalysisOptions, out: Path, *, console: Any) -> Comparison:
    """Analyze every checkpoint into out/checkpoints/NAME, skipping those already done, and join their tables."""
    from repdiag.cli.run_directory import read_table
    from repdiag.core.metric_table import MetricTable

    options = replace(options, data=options.data or _common_dataset(paths))
    tables, verdicts, folders, failures = [], {}, {}, {}
    for name, path in paths.items():
        folder = out / "checkpoints" / name.replace("/", "-")
        try:
            if not _is_done(folder, path, options):
                _analyze_into(folder, path, name, options, console)
        except RepdiagError as error:
            failures[name] = str(error)
            console.say(f"left out {name}: {error}")
            continue
        tables.append(read_table(folder))
        verdicts[name] = json.loads((folder / "verdict.json").read_text("utf-8"))
        folders[name] = folder
    if not tables:
        raise RepdiagError("no checkpoint could be analyzed", found="; ".join(failures.values()))
    return Comparison(table=MetricTable.concat(tables), verdicts=verdicts, folders=folders, failures=failures)


def write_comparison(comparison: Comparison, options: AnalysisOptions, out: Path) -> None:
    """Write the joined tables, the judgements and, last, run.json."""
    from repdiag.cli.run_directory import write_run, write_tables
    from repdiag.core.files import write_json

    write_tables(comparison.table, out)
    write_json(out / "verdict.json", comparison.verdicts)
    checkpoints = {name: str(folder) for name, folder in comparison.folders.items()}
    write_run(out, kind="compare", options=options.to_dict(), checkpoints=checkpoints, failures=comparison.failures)


def _analyze_into(folder: Path, path: Path, name: str, options: AnalysisOptions, console: Any) -> None:
    from repdiag.cli.analysis import analyze_checkpoint
    from repdiag.cli.figures import draw_analysis
    from repdiag.cli.run_directory import prepare, write_analysis

    prepare(folder, overwrite=True)
    analysis = analyze_checkpoint(path, options, name=name, counting=console.counting)
    draw_analysis(analysis, folder, history=path.parent.parent / "history.csv")
    write_analysis(analysis, options, folder)


def _is_done(folder: Path, path: Path, options: AnalysisOptions) -> bool:
    """Say whether the folder holds this very file's analysis with these very options."""
    from repdiag.core.provenance import sha256_of_file
    from repdiag.core.version import __version__

    record = folder / "run.json"
    if not record.is_file() or path.is_dir():
        return False
    try:
        run = json.loads(record.read_text("utf-8"))
        same = run["options"] == options.to_dict() and run["environment"]["repdiag"] == __version__
        return bool(same and run["encoder"]["sha256"] == sha256_of_file(path))
    except (KeyError, ValueError):
        return False


def _common_dataset(paths: dict[str, Path]) -> str | None:
    """Return the dataset that the checkpoints name, when they all name one and the same."""
    from repdiag.checkpoints.load import load_encoder

    named: dict[str, str] = {}
    for name, path in paths.items():
        try:
            spec = load_encoder(path).info.training.get("data")
        except RepdiagError:
            continue  # reported when its turn comes
        if spec is not None:
            named[name] = str(spec)
    if len(set(named.values())) > 1:
        found = ", ".join(f"{name}: {spec}" for name, spec in named.items())
        raise UsageError("the checkpoints were trained on different datasets", found=found, hint="choose with --data")
    return next(iter(named.values()), None)
