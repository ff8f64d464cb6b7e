"""What a result is made of: tables, judgement, embeddings, pictures, provenance; `transaction` says where it goes."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.csv_text import csv_text
from repdiag.core.files import write_atomic, write_json, write_text
from repdiag.core.folder_record import SCHEMA_VERSION

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.rows import AnalyzedImages

TABLE = "metrics.parquet"


def write_analysis(analysis: Analysis, out: Path) -> None:
    """Write tables, judgement, embeddings and run.json into the private folder of a transaction."""
    from repdiag.embeddings.store import save_embedding_set

    write_tables(analysis.table, out)
    write_parts(analysis.per_class, analysis.per_row, out)
    write_json(out / "verdict.json", analysis.diagnosis.to_dict())
    if analysis.drift is not None and len(analysis.drift):
        write_text(out / "drift.csv", csv_text(analysis.drift))
    if analysis.row_checks is not None:
        analysis.row_checks.write(out)
    for split, embeddings in analysis.embeddings.items():
        save_embedding_set(embeddings, out / "embeddings" / split)
    if analysis.rows is not None:
        write_thumbnails(analysis.rows, out)
    write_run(
        out,
        kind=analysis.kind,
        options=analysis.options,
        encoder=None if analysis.info is None else analysis.info.to_dict(),
        cost=None if analysis.cost is None else asdict(analysis.cost),
        reference=analysis.reference,
        rows=None if analysis.rows is None else analysis.rows.fingerprints(),
        plan=None if analysis.rows is None or analysis.rows.plan is None else analysis.rows.plan.to_dict(),
        excluded=analysis.excluded,
        notes=list(analysis.notes),
    )


def write_thumbnails(rows: AnalyzedImages, out: Path) -> None:
    """Write small pictures of the analyzed images, so that the report can show them without the dataset."""
    from repdiag.results.thumbnails import save_thumbnails, thumbnail_key

    splits = {name: split for name, split in rows.parts().items() if name in ("train", "val")}
    keys = [thumbnail_key(name, str(row)) for name, split in splits.items() for row in split.row_ids]
    images = (split.image(number) for split in splits.values() for number in range(len(split)))
    save_thumbnails(out, images, keys=keys)


def write_tables(table: MetricTable, out: Path) -> None:
    """Write metrics.parquet and metrics.csv; the CSV is byte-identical for equal values."""
    frame = table.to_frame()
    write_atomic(out / TABLE, lambda stream: frame.to_parquet(stream, index=False))
    write_text(out / "metrics.csv", csv_text(frame))


def write_parts(per_class: pd.DataFrame, per_row: pd.DataFrame | None, out: Path) -> None:
    """Write per_class.parquet, and per_row.parquet where rows were asked for."""
    for name, frame in (("per_class", per_class), ("per_row", per_row)):
        if frame is not None:
            write_atomic(out / f"{name}.parquet", lambda stream, frame=frame: frame.to_parquet(stream, index=False))  # type: ignore[misc]


def write_run(out: Path, *, kind: str, **content: Any) -> None:
    """Write run.json: what was run, with what, on what. The transaction adds the list of all files."""
    from repdiag.core.provenance import environment

    record = {"schema_version": SCHEMA_VERSION, "kind": kind, "command": command_line(), **content}
    write_json(out / "run.json", {**record, "environment": environment()})


def command_line() -> str:
    """Return the command that is running, as one would type it."""
    import shlex

    return "repdiag " + shlex.join(sys.argv[1:])
