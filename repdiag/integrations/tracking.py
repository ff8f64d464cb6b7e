"""A finished run as experiment trackers take it: scalars, tags and files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdiag.core.metric_table import MetricRow, MetricTable, untrained_name
from repdiag.results.reading import StoredRun, read_run

# What a tracker keeps of a run: small, and readable without repdiag. Embeddings and pictures stay where they are.
FILES = ("metrics.csv", "verdict.json", "run.json", "paired_tests.csv", "class_changes.csv", "report.html", "figures")
_QUESTIONS = ("over_clustering", "overfitting", "collapse")


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """Values by name, verdicts by question, and the files and folders that are there."""

    name: str
    scalars: Mapping[str, float]
    tags: Mapping[str, str]
    files: tuple[Path, ...]


def tracked(folder: Path) -> TrackedRun:
    """Read an analysis or a comparison; raises `StoreError` naming what is missing."""
    stored = read_run(folder)
    return TrackedRun(
        name=folder.resolve().name,
        scalars=scalars_of(stored.table),
        tags=_tags(stored),
        files=tuple(folder / name for name in FILES if (folder / name).exists()),
    )


def scalars_of(table: MetricTable) -> dict[str, float]:
    """Return {split/space/metric[/settings]: value}, with the ends of its interval beside it as .low and .high.

    The checkpoint comes first where there are several, "untrained" before the values of an untrained copy. No name is
    the folder of another (stores on disk make files of them). What is null is left out: trackers know no reason.
    Characters that trackers refuse in names become underscores.
    """
    originals = table.checkpoints("trained", "reference")
    named = {untrained_name(name): name for name in originals}
    found: dict[str, float] = {}
    for row in table:
        if row.value is None:
            continue
        name = _name(row, of=named.get(row.checkpoint, row.checkpoint) if len(originals) > 1 else "")
        found[name] = row.value
        if row.ci_low is not None and row.ci_high is not None:
            found |= {f"{name}.low": row.ci_low, f"{name}.high": row.ci_high}
    return found


def _name(row: MetricRow, *, of: str) -> str:
    settings = "_".join(f"{key}-{value}" for key, value in sorted(row.params.items()))
    copy = "untrained" if row.role == "untrained" else ""
    parts = (copy, of, row.split, row.space, row.metric, settings)
    return "/".join(_plain(part) for part in parts if part)


def _tags(stored: StoredRun) -> dict[str, str]:
    tags = {}
    for checkpoint, verdict in stored.verdicts.items():
        start = f"repdiag/{_plain(checkpoint)}" if len(stored.verdicts) > 1 else "repdiag"
        tags[f"{start}/summary"] = str(verdict.get("summary", ""))
        found: Mapping[str, Any] = {name: verdict[name] for name in _QUESTIONS if name in verdict}
        tags |= {f"{start}/{name}": str(finding.get("verdict", "")) for name, finding in found.items()}
    return tags


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)
