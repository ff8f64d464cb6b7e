"""One stored analysis or comparison, with what was computed for its page, as one HTML text that opens offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import StoreError
from repdiag.report.answer import by_how_much, facts, steps
from repdiag.report.classes import class_table
from repdiag.report.common_width import common_width
from repdiag.report.comparison import best_sentence, comparison_table
from repdiag.report.downstream import downstream_lines
from repdiag.report.drawings import data_uri, drawings_in
from repdiag.report.drift import drift_table
from repdiag.report.forest import forests
from repdiag.report.html import render_page
from repdiag.report.methods import bibliography, methods_of
from repdiag.report.pairs import change_lines, test_lines
from repdiag.report.ranking import ranking_table
from repdiag.report.typical import ENCODERS
from repdiag.report.verdicts import cited_keys, headline, judgements
from repdiag.results.deployment_cells import deployment_cells, measured_how
from repdiag.results.frames.judged_split import judged_splits
from repdiag.results.headlines import CONTEXT
from repdiag.results.reading import StoredRun
from repdiag.results.thumbnails import SHEET, Thumbnails

MAP = "embedding_map"

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from repdiag.workflows.hardest import HardImage
    from repdiag.workflows.moved_rows import MovedImage


def render_report(
    stored: StoredRun,
    *,
    points: Mapping[str, Any] | None,
    hardest: Mapping[str, Sequence[HardImage]],
    moved: Mapping[str, Sequence[MovedImage]],
    pictures: Thumbnails | None,
) -> str:
    """Return the page. `points` is what the interactive map needs (None leaves it out), `hardest` the images that each
    checkpoint gets most wrong, `moved` those whose neighbours changed most from one to another, `pictures` the
    thumbnails of all.
    """
    content = {
        **_content(stored),
        "classes": class_table(stored.parts, splits=judged_splits(stored.table)),
        "hardest": hardest,
        "moved": moved,
        **({"points": None, "map_method": "none", "map_names": []} if points is None else points),
        **_sheet(pictures),
    }
    # One map a page: where the interactive one is, the still one is for paper alone.
    still = [drawing for drawing in content["drawings"] if drawing.name == MAP and points is not None]
    content["still_map"] = next(iter(still), None)
    content["drawings"] = [drawing for drawing in content["drawings"] if drawing not in still]
    return render_page(content, with_map=points is not None)


def _content(stored: StoredRun) -> dict[str, Any]:
    judged = judgements(stored.verdicts)
    methods = methods_of(stored.table)
    first = next(iter(stored.table), None)
    if first is None:
        raise StoreError(f"the table of {stored.folder} has no rows", hint="did the run finish?")
    pairs = stored.pairs
    comparison = comparison_table(stored.table, pairs)
    changes, change_tests = change_lines(pairs)
    ranking = stored.record.get("ranking")
    split = ", ".join(dict.fromkeys(judged_splits(stored.table).values()))
    trained = stored.table.checkpoints("trained", "reference")
    return {
        "title": ", ".join(judgement.checkpoint for judgement in judged) or first.checkpoint,
        "names": stored.table.checkpoints(),
        "facts": facts(stored, encoders=len(trained), split=split),
        "headline": headline(judged, ranking),
        "margin": by_how_much(ranking, pairs),
        "steps": steps(judged),
        "forests": forests(comparison, pairs),
        "common": common_width(stored),
        "context": CONTEXT,
        "ranking": ranking_table(ranking),
        "judgements": judged,
        "comparison": comparison,
        "downstream": downstream_lines(stored.table),
        "drift": drift_table(stored.drift),
        "deployment": _deployment(stored),
        "split": split,
        "best": best_sentence(comparison),
        "tests": test_lines(pairs),
        "changes": changes,
        "change_tests": change_tests,
        "drawings": drawings_in(stored.figures),
        "rows": [_shown(row) for row in stored.table.to_records()],
        "methods": methods,
        "typical_encoders": ENCODERS,
        "citations": bibliography(methods, cited_keys(judged)),
        "command": str(stored.record.get("command", "")),
        "record": json.dumps(dict(stored.record), indent=2, ensure_ascii=False),
        "failures": dict(stored.record.get("failures") or {}),
        "excluded": list(stored.record.get("excluded") or ()),
        "notes": list(stored.record.get("notes") or ()),
    }


def _deployment(stored: StoredRun) -> dict[str, Any] | None:
    frame = stored.deployment
    if frame is None or not len(frame):
        return None
    headings, lines = deployment_cells(frame)
    return {"headings": headings, "lines": lines, "how": measured_how(frame)}


def _sheet(pictures: Thumbnails | None) -> dict[str, Any]:
    if pictures is None:
        return {"sheet": None}
    source = data_uri(pictures.sheet, Path(SHEET))
    return {"sheet": {"source": source, "tile": pictures.tile, "columns": pictures.columns}}


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """Return one row of the metric table as the page shows it."""
    settings = ", ".join(f"{key} = {value}" for key, value in sorted(record["params"].items()))
    value, low, high = record["value"], record["ci_low"], record["ci_high"]
    return {
        **record,
        "settings": settings,
        "text": f"n/a: {record['reason']}" if value is None else f"{value:.4g}",
        "sort": "" if value is None else repr(value),
        "interval": "" if low is None or high is None else f"[{low:.4g}, {high:.4g}]",
    }
