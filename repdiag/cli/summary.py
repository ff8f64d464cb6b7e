"""What a command prints when it is done: the headline table, the judgement with its evidence, where things are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.results.finding_lines import finding_lines
from repdiag.results.terminal_tables import deployment_table, headline_table, rows_table
from repdiag.workflows.drift_beside import drift_lines
from repdiag.workflows.plain_results import analysis_record, comparison_record
from repdiag.workflows.probed import probe_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from repdiag.cli.console import Console
    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.comparison import Comparison


_FEW = 15  # rows of a table that are shown whole


def show_analysis(
    console: Console, analysis: Analysis, folder: Path, drawn: Sequence[Path], *, told: bool = True
) -> None:
    """Print one encoder with the untrained copy's features beside it, or one set of vectors."""
    name, info = analysis.name, analysis.info
    console.say(f"{name}: {analysis.summary}\n")
    for line in finding_lines(analysis.diagnosis, evidence=console.verbose):
        console.say(line)
    rows, dims = analysis.size
    if info is None and (console.verbose or len(analysis.table) <= _FEW):
        console.table(rows_table(analysis.table, title=f"{name}: {rows} rows x {dims} dimensions"))
    elif info is None:
        title = f"{name}: {rows} rows x {dims} dimensions; every row: --verbose, metrics.csv"
        console.table(headline_table(title, analysis.table, [("value", name, "features")]))
    else:
        dataset = analysis.embeddings["val"].provenance.dataset
        title = f"{name}: {info.backbone}, {info.parameters / 1e6:.2f} M parameters, {dataset}"
        columns = [("features", name, "features"), ("projections", name, "projections")]
        columns += [("untrained", copy, "features") for copy in analysis.table.checkpoints("untrained")]
        present = [c for c in columns if len(analysis.table.where(checkpoint=c[1], space=c[2]))]
        console.table(headline_table(title, analysis.table, present))
    _say_left_out(console, analysis.excluded)
    for note in analysis.notes:
        console.say(f"\nnote: {note}")
    _say_figures(console, drawn)
    console.say_place(folder, told=told)
    console.say(f"next:    repdiag report {folder}")
    console.json(analysis_record(analysis, folder))


def show_comparison(
    console: Console, comparison: Comparison, folder: Path, drawn: Sequence[Path], *, told: bool = True
) -> None:
    """Print which checkpoint to take, what is wrong with each, and all side by side, features of val."""
    console.say(f"{comparison.summary}\n")
    for name, diagnosis in comparison.diagnoses.items():
        for line in finding_lines(diagnosis, evidence=console.verbose):
            console.say(f"{name}: {line}")
    names = comparison.table.names("checkpoint")
    columns = [(str(name), str(name), "features") for name in names]
    console.table(headline_table("Same rows, same views; features, val", comparison.table, columns, intervals=False))
    if comparison.common is not None:
        console.say(f"\nnote: {comparison.common.note}")
        title = f"At {comparison.common.dims} dimensions; features, val; kNN against the train gallery"
        trained = [(name, name, "features") for name in comparison.common.widths]
        console.table(headline_table(title, comparison.common.table, trained, intervals=False))
    if comparison.paired is not None:
        console.say("\non the same rows, by paired tests (pairs.csv, paired_tests.csv, class_changes.csv):")
        for sentence in comparison.paired.sentences():
            console.say(f"  {sentence}")
    for line in (*probe_lines(comparison.probed), *drift_lines(comparison.drift)):
        console.say(line)
    if comparison.deployment is not None:
        console.table(deployment_table(comparison.deployment))
    for note in comparison.reading:
        console.say(f"\nnote: {note}")
    for name, reason in comparison.failures.items():
        console.say(f"left out: {name} ({reason.splitlines()[0]})")
    for name, how in comparison.missing.items():
        console.say(f"not on this machine: {name} ({how})")
    _say_figures(console, drawn)
    console.say_place(folder, told=told)
    console.say(f"next:    repdiag report {folder}")
    console.json(comparison_record(comparison, folder))


def _say_figures(console: Console, drawn: Sequence[Path]) -> None:
    console.say("")
    if drawn:
        console.say(f"figures: {drawn[0].parent} ({len({path.stem for path in drawn})} figures)")


def _say_left_out(console: Console, excluded: list[dict[str, str]]) -> None:
    if not excluded:
        return
    console.say(f"left out {len(excluded)} images that could not be read:")
    for item in excluded[:5]:
        console.say(f"  {item['path']}: {item['reason']}")
    if len(excluded) > 5:
        console.say(f"  and {len(excluded) - 5} more, all named in run.json")
