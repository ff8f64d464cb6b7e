"""`build_report`: one run directory -> one HTML file that opens offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repdiag.core.errors import StoreError
from repdiag.core.files import write_text
from repdiag.embeddings.projection_2d import READINGS, TITLES, method_for
from repdiag.report.classes import class_table
from repdiag.report.comparison import best_sentence, comparison_table
from repdiag.report.drawings import data_uri, drawings_in
from repdiag.report.html import render_page
from repdiag.report.methods import bibliography, methods_of
from repdiag.report.verdicts import cited_keys, headline, judgements
from repdiag.results.pairs import change_lines, test_lines
from repdiag.results.reading import StoredRun, read_run
from repdiag.results.thumbnails import SHEET, Thumbnails, load_thumbnails, thumbnail_key
from repdiag.workflows.hardest import hardest_images
from repdiag.workflows.point_map import PointMap, packed, point_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MapMethod = Literal["umap", "tsne", "pca", "none"]


def build_report(run: Path, out: Path, *, map_method: MapMethod = "umap", seed: int = 0) -> Path:
    """Write the report of one analysis or comparison; `map_method` "none" leaves the interactive map out."""
    stored = read_run(run)
    points = _points(stored, map_method, seed)
    pictures = _thumbnails(stored)
    tiles = {} if pictures is None else {key: place for place, key in enumerate(pictures.keys)}
    content = {
        **_content(stored),
        **_drill_down(stored, tiles),
        **_map_content(points, map_method, tiles),
        **_sheet(pictures),
    }
    return write_text(out, render_page(content, with_map=points is not None))


def _content(stored: StoredRun) -> dict[str, Any]:
    judged = judgements(stored.verdicts)
    methods = methods_of(stored.table)
    first = next(iter(stored.table), None)
    if first is None:
        raise StoreError(f"the table of {stored.folder} has no rows", hint="did the run finish?")
    pairs = stored.pairs
    comparison = comparison_table(stored.table, pairs)
    changes, change_tests = change_lines(pairs)
    return {
        "title": ", ".join(judgement.checkpoint for judgement in judged) or first.checkpoint,
        "dataset": ", ".join(map(str, stored.table.names("dataset"))),
        "headline": headline(judged),
        "judgements": judged,
        "comparison": comparison,
        "best": best_sentence(comparison),
        "tests": test_lines(pairs),
        "changes": changes,
        "change_tests": change_tests,
        "drawings": drawings_in(stored.figures),
        "rows": [_shown(row) for row in stored.table.to_records()],
        "methods": methods,
        "citations": bibliography(methods, cited_keys(judged)),
        "command": str(stored.record.get("command", "")),
        "record": json.dumps(dict(stored.record), indent=2, ensure_ascii=False),
        "failures": dict(stored.record.get("failures") or {}),
        "excluded": list(stored.record.get("excluded") or ()),
    }


def _drill_down(stored: StoredRun, tiles: Mapping[str, int]) -> dict[str, Any]:
    hardest = {}
    for name in stored.parts:
        val = stored.embeddings(name).get("val")
        found = () if val is None else hardest_images(val, split="val", tiles=tiles)
        if found:
            hardest[name] = found
    return {"classes": class_table(stored.parts), "hardest": hardest}


def _map_content(points: PointMap | None, method: MapMethod, tiles: Mapping[str, int]) -> dict[str, Any]:
    if points is None or method == "none":
        return {"points": None, "map_method": method, "map_names": []}
    shown = map(thumbnail_key, points.splits, points.row_ids)
    tile_of = packed([tiles.get(key, -1) for key in shown], "<i4") if tiles else None
    drawn_by = method_for(len(points.row_ids), method)
    return {
        "points": {**points.to_dict(), "tileOf": tile_of},
        "map_method": TITLES[drawn_by],
        "map_reading": READINGS[drawn_by],
        "map_names": [one.name for one in points.maps],
    }


def _sheet(pictures: Thumbnails | None) -> dict[str, Any]:
    if pictures is None:
        return {"sheet": None}
    source = data_uri(pictures.sheet, Path(SHEET))
    return {"sheet": {"source": source, "tile": pictures.tile, "columns": pictures.columns}}


def _points(stored: StoredRun, method: MapMethod, seed: int) -> PointMap | None:
    if method == "none":
        return None
    return point_map({name: stored.embeddings(name) for name in stored.parts}, method=method, seed=seed)


def _thumbnails(stored: StoredRun) -> Thumbnails | None:
    folders: Sequence[Path] = (stored.folder, *stored.parts.values())
    found = (load_thumbnails(folder) for folder in folders)
    return next((pictures for pictures in found if pictures is not None), None)


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
