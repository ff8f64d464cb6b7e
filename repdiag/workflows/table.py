"""`headline_text`: the headline metrics of finished runs as LaTeX, Markdown, CSV or HTML."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import UsageError, unknown_name
from repdiag.workflows.renaming import new_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from repdiag.core.metric_table import MetricTable
    from repdiag.report.comparison import ComparisonTable
    from repdiag.report.typeset import Format
    from repdiag.results.reading import StoredRun

_LEFT = 3  # rows of different values that a sentence names


def headline_text(
    runs: Sequence[Path],
    to: Format = "markdown",
    *,
    names: Sequence[str] = (),
    metrics: Sequence[str] = (),
    untrained: bool = True,
    intervals: bool = True,
) -> tuple[str, tuple[str, ...]]:
    """Return the table as text, and what a reader must know beside the numbers.

    Marks rest on the paired tests of a comparison; of several runs on their intervals, and only where they were
    measured on the same images by the same versions of a metric. `names` renames the encoders in their order, `metrics`
    chooses rows, `untrained` keeps the untrained copies.

    Raises `UsageError` for names that are not as many as the encoders, and for a metric that is not in the table.
    """
    from repdiag.report.comparison import comparison_table
    from repdiag.report.typeset import Typeset, typeset
    from repdiag.results.reading import read_run, results_in

    found = [read_run(results_in(run)) for run in runs]
    table = _joined(found)
    unlike = _unlike(found, table)
    pairs = found[0].pairs if len(found) == 1 else None
    shown = comparison_table(table, pairs)
    shown = _chosen(shown, metrics, untrained=untrained)
    if unlike:
        shown = _unmarked(shown)
    notes = [*unlike, *_widths(found, several=len(shown.lines) > 1)]
    if len(found) > 1 and not unlike:
        notes.append("Intervals decide the marks; repdiag compare tests image by image.")
    caption = _caption(table)
    return typeset(Typeset(table=_renamed(shown, names), caption=caption, notes=notes, intervals=intervals), to), tuple(
        notes
    )


def write_table(text: str, out: Path, *, overwrite: bool) -> Path:
    """Write the text to a file; raises `UsageError` for one that is there, unless it may be replaced."""
    from repdiag.core.files import write_text

    if out.exists() and not (overwrite and out.is_file()):
        raise UsageError(f"{out} already exists", hint="choose another --out, or give --overwrite")
    return write_text(out, text)


def _joined(found: Sequence[StoredRun]) -> MetricTable:
    """Return the tables together; a checkpoint's name that several runs have gets the folder beside it."""
    tables = [stored.table for stored in found]
    seen = [name for table in tables for name in table.checkpoints()]
    twice = {name for name in seen if seen.count(name) > 1}
    return type(tables[0]).concat(
        type(table)(
            tuple(
                replace(row, checkpoint=f"{row.checkpoint} ({_called(stored.folder)})")
                if row.checkpoint in twice
                else row
                for row in table
            )
        )
        for table, stored in zip(tables, found, strict=True)
    )


def _called(folder: Path) -> str:
    whole = folder.resolve()
    return whole.parents[1].name if whole.parent.name == "analysis" and whole.name == "last" else whole.name


def _unlike(found: Sequence[StoredRun], table: MetricTable) -> list[str]:
    """Return why values of several runs must not be held against each other; empty where they may be."""
    if len(found) < 2:
        return []
    rows = [_rows_of(stored) for stored in found]
    if any(one is None for one in rows):
        where = ", ".join(_called(stored.folder) for stored, one in zip(found, rows, strict=True) if one is None)
        return [f"Nothing is marked: {where} does not say which images it was measured on."]
    if any(one != rows[0] for one in rows):
        sets = list(dict.fromkeys(map(str, table.names("dataset"))))
        what = f"on {', '.join(sets[:_LEFT])}" if len(sets) > 1 else "on other images of one dataset"
        return [f"Nothing is marked: the runs were measured {what}. repdiag compare measures all on the same images."]
    versions: dict[str, set[int]] = {}
    for row in table:
        versions.setdefault(row.metric, set()).add(row.version)
    changed = sorted(name for name, known in versions.items() if len(known) > 1)
    if changed:
        return [f"Nothing is marked: the runs hold different versions of {', '.join(changed[:_LEFT])}. Analyze again."]
    return []


def _rows_of(stored: StoredRun) -> Any:
    """Return the fingerprints of the judged images of a run; of a comparison, those that all its parts share."""
    from repdiag.results.reading import read_record

    own = stored.record.get("rows")
    parts = [read_record(part).get("rows") for part in stored.parts.values() if part != stored.folder]
    found = [rows.get("val") for rows in (own, *parts) if rows]
    return found[0] if found and all(one == found[0] for one in found) else None


def _widths(found: Sequence[StoredRun], *, several: bool) -> list[str]:
    from repdiag.results.reading import read_record

    widths: dict[str, int] = {}
    for stored in found:
        for name, part in stored.parts.items():
            width = (read_record(part).get("encoder") or {}).get("feature_dim")
            if width is not None:
                widths[name] = int(width)
    if not several or len(set(widths.values())) < 2:
        return []
    said = ", ".join(f"{name} {width}" for name, width in widths.items())
    stored_at = "common_dimension.csv" if len(found) == 1 else "common_dimension.csv of repdiag compare"
    return [
        f"Features differ in width ({said}): alignment, uniformity, distances and RankMe are comparable at equal "
        f"width only, as in {stored_at}."
    ]


def _chosen(found: ComparisonTable, metrics: Sequence[str], *, untrained: bool) -> ComparisonTable:
    known = [headline.metric for headline in found.headlines]
    for name in metrics:
        if name not in known:
            raise unknown_name("headline metric", name, known)
    kept = [known.index(name) for name in metrics] if metrics else list(range(len(known)))
    lines = [
        replace(line, cells=tuple(line.cells[at] for at in kept)) for line in found.lines if line.trained or untrained
    ]
    return replace(found, headlines=tuple(found.headlines[at] for at in kept), lines=tuple(lines))


def _unmarked(found: ComparisonTable) -> ComparisonTable:
    lines = (
        replace(line, cells=tuple(replace(cell, mark="", letters="") for cell in line.cells)) for line in found.lines
    )
    return replace(found, lines=tuple(lines))


def _renamed(found: ComparisonTable, names: Sequence[str]) -> ComparisonTable:
    called = new_names([line.name for line in found.lines], names)
    return replace(found, lines=tuple(replace(line, name=called.get(line.name, line.name)) for line in found.lines))


def _caption(table: MetricTable) -> str:
    """Return what the values are of: dataset, split, images."""
    from repdiag.results.frames.judged_split import judged_splits

    judged = judged_splits(table)
    splits = list(dict.fromkeys(split for split in judged.values() if split != "unknown"))
    counts = {row.n for row in table if row.split == judged[row.checkpoint] and row.metric == "uniformity"}
    shown = [", ".join(map(str, table.names("dataset"))), *splits]
    shown += [f"{counts.pop():,} rows"] if len(counts) == 1 else []
    return f"Headline metrics of the features ({', '.join(shown)}), with 95 % intervals."
