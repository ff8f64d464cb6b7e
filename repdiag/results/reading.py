"""Reads what an analysis or a comparison left on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core import folder_record
from repdiag.core.errors import StoreError, UsageError
from repdiag.core.metric_table import MetricTable
from repdiag.results.pairs import StoredPairs, read_pairs
from repdiag.results.verifying import check_files

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.core.embedding_set import EmbeddingSet

TABLE = "metrics.parquet"


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """One analysis, or one comparison with its analyses as `parts`."""

    folder: Path
    record: Mapping[str, Any]
    table: MetricTable
    verdicts: Mapping[str, Any]
    parts: Mapping[str, Path] = field(default_factory=dict)

    @property
    def figures(self) -> Path:
        """Folder of the drawn figures."""
        return self.folder / "figures"

    @property
    def pairs(self) -> StoredPairs:
        """Paired tests and class changes of a comparison."""
        return read_pairs(self.folder)

    @property
    def answers(self) -> pd.DataFrame | None:
        """What each encoder is against each other one, a question a row; None where there was no pair."""
        return self._frame("pairs")

    @property
    def drift(self) -> pd.DataFrame | None:
        """What became of neighbours from one encoder to each other one; None where there was no pair."""
        return self._frame("drift")

    @property
    def deployment(self) -> pd.DataFrame | None:
        """What each encoder costs beside what it is worth; None where that was not measured."""
        return self._frame("deployment")

    def _frame(self, name: str) -> pd.DataFrame | None:
        path = self.folder / f"{name}.csv"
        return read_frame(path) if path.is_file() else None

    def embeddings(self, name: str) -> dict[str, EmbeddingSet]:
        """Return the stored sets of one checkpoint by split; empty where none were kept."""
        return stored_sets(self.parts.get(name, self.folder))


def stored_sets(folder: Path) -> dict[str, EmbeddingSet]:
    """Return the stored sets of one analysis by split; empty where none were kept."""
    from repdiag.embeddings.store import is_stored, load_embedding_set

    root = folder / "embeddings"
    found = sorted(root.iterdir()) if root.is_dir() else []
    return {part.name: load_embedding_set(part) for part in found if is_stored(part)}


def read_run(folder: Path) -> StoredRun:
    """Read one run directory; raises `StoreError` naming what is missing, damaged, or of another result."""
    import pandas as pd

    if not folder.is_dir():
        hint = "give the folder of a finished analysis or comparison, or of an analyzed training run"
        raise StoreError(f"there is no folder {folder}", hint=hint)
    record = read_record(folder)
    if record.get("kind") == "train":
        raise StoreError(f"{folder} is a training run without an analysis", hint=f"repdiag analyze {folder}")
    check_files(folder)
    try:
        table = MetricTable.from_frame(pd.read_parquet(folder / "metrics.parquet"))
    except (OSError, ValueError) as error:
        raise StoreError(f"no readable metrics.parquet in {folder}", found=str(error)) from error
    path = folder / "verdict.json"
    judged = _read_json(path) if path.is_file() else {}
    verdicts = {str(judged["checkpoint"]): judged} if "checkpoint" in judged else judged
    names = table.checkpoints("trained", "reference")
    parts = {name: folder / "checkpoints" / name.replace("/", "-") for name in names}
    return StoredRun(
        folder=folder,
        record={name: value for name, value in record.items() if name not in ("files", "added")},
        table=table,
        verdicts=verdicts,
        parts={name: part for name, part in parts.items() if part.is_dir()} or dict.fromkeys(names[:1], folder),
    )


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table that was written as CSV; a class may be called "nan" and a checkpoint "1"."""
    import pandas as pd

    from repdiag.core.csv_text import plain_cells

    names = ("checkpoint", "class_name", "dataset", "row_id", "old", "new", "kept_of")
    frame = plain_cells(pd.read_csv(path))
    as_text = plain_cells(pd.read_csv(path, dtype=str, keep_default_na=False))
    return frame.assign(**{name: as_text[name] for name in names if name in as_text})


def results_in(folder: Path) -> Path:
    """Return the folder of results that is meant; a training run stands for the analysis of its last checkpoint.

    Raises `UsageError` for a manifest, which names checkpoints and has no results.
    """
    from repdiag.checkpoints.sources.manifest_path import is_manifest

    if is_manifest(folder):
        hint = f"repdiag compare {folder} --data DATA --out runs/all, then this command on runs/all"
        raise UsageError(f"{folder} is a manifest and has no results", hint=hint)
    inside = folder / "analysis" / "last"
    return folder if (folder / TABLE).is_file() or not (inside / TABLE).is_file() else inside


def read_record(folder: Path) -> dict[str, Any]:
    """Read run.json, as this version writes it."""
    return folder_record.read_record(folder)


def read_table(folder: Path) -> MetricTable:
    """Read the stored table of a finished analysis or comparison."""
    import pandas as pd

    from repdiag.core.metric_table import MetricTable

    path = folder / TABLE
    if not path.is_file():
        raise StoreError(f"no finished analysis in {folder}", found=f"{TABLE} is missing")
    return MetricTable.from_frame(pd.read_parquet(path))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"cannot read {path}", found=cause, hint="did the run finish?") from error
    if not isinstance(found, dict):
        raise StoreError(f"cannot read {path}", found=f"a {type(found).__name__} instead of an object")
    return found
