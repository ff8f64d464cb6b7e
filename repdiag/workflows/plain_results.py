"""Analyses and comparisons as plain dictionaries: what `--json` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from repdiag.core.plain_records import plain_records

if TYPE_CHECKING:
    from pathlib import Path

    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.comparison import Comparison


def analysis_record(analysis: Analysis, folder: Path) -> dict[str, Any]:
    """Return one analysis, whose results are in `folder`."""
    return {
        "name": analysis.name,
        "checkpoint": None if analysis.info is None else analysis.info.to_dict(),
        "metrics": analysis.table.to_records(),
        "verdict": analysis.diagnosis.to_dict(),
        "drift": None if analysis.drift is None else plain_records(analysis.drift),
        "excluded": analysis.excluded,
        "notes": list(analysis.notes),
        "folder": str(folder),
    }


def comparison_record(comparison: Comparison, folder: Path) -> dict[str, Any]:
    """Return one comparison; in its tests what is not known is None, and `params` a dictionary as in `metrics`."""
    tests = None if comparison.paired is None else comparison.paired.tests
    return {
        "metrics": comparison.table.to_records(),
        "common_dimension": None if comparison.common is None else comparison.common.table.to_records(),
        "headline": comparison.headline_sentence,
        "ranking": plain_records(comparison.ranking()),
        "pairs": comparison.pairs.to_dict(orient="records"),
        "paired_tests": None if tests is None else plain_records(tests.assign(params=tests["params"].map(json.loads))),
        "drift": None if comparison.drift is None else plain_records(comparison.drift),
        "deployment": None if comparison.deployment is None else plain_records(comparison.deployment),
        "verdicts": comparison.verdicts,
        "notes": list(comparison.notes),
        "failures": comparison.failures,
        "missing": comparison.missing,
        "folder": str(folder),
    }
