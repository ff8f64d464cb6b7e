"""`build_report`: one run directory -> one HTML file that opens offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repdiag.core.errors import StoreError
from repdiag.core.files import write_text
from repdiag.report.comparison import comparison_table, show_value
from repdiag.report.drawings import data_uri, drawings_in
from repdiag.report.html import render_page
from repdiag.report.methods import bibliography, methods_of
from repdiag.report.point_map import PointMap, per_class, point_map
from repdiag.report.runs import StoredRun, read_run
from repdiag.report.thumbnails import SHEET, Thumbnails, load_thumbnails, thumbnail_key
from repdiag.report.verdicts import cited_keys, headline, judgements

if TYPE_CHECKING:
    from collections.abc import Sequence

MapMethod = Literal["umap", "pca", "none"]


def build_report(run: Path, out: Path, *, map_method: MapMethod = "umap", seed: int = 0) -> Path:
    """Write the report of one analysis or comparison; `map_method` "none" leaves the interactive map out."""
    stored = read_run(run)
    points = _points(stored, map_method, seed)
    content = {**_content(stored), **_map_content(stored, points, map_method)}
    return write_text(out, render_page(content, with_map=points is not None))


def _content(stored: StoredRun) -> dict[str, Any]:
    judged = judgements(stored.verdicts)
    methods = methods_of(stored.table)
    first = next(iter(stored.table), None)
    if first is None:
        raise StoreError(f"the table of {stored.folder} has no rows", hint="did the run finish?")
    return {
        "title": ", ".join(judgement.checkpoint for judgement in judged) or first.checkpoint,
        "dataset": ", ".join(map(str, stored.table.names("dataset"))),
        "headline": headline(judged),
        "judgements": judged,
        "comparison": comparison_table(stored.table),
        "drawings": drawings_in(stored.figures),
        "rows": [_shown(row) for row in stored.table.to_records()],
        "methods": methods,
        "citations": bibliography(methods, cited_keys(judged)),
        "command": str(stored.record.get("command", "")),
        "record": json.dumps(dict(stored.record), indent=2, ensure_ascii=False),
        "failures": dict(stored.record.get("failures") or {}),
        "excluded": list(stored.record.get("excluded") or ()),
    }


def _map_content(stored: StoredRun, points: PointMap | None, method: MapMethod) -> dict[str, Any]:
    if points is None:
        return {"points": None, "sheet": None, "map_method": method, "per_class": [], "map_names": []}
    pictures = _thumbnails(stored)
    tiles: dict[str, Any] = {}
    if pictures is not None:
        place = {key: at for at, key in enumerate(pictures.keys)}
        shown = map(thumbnail_key, points.splits, points.row_ids)
        tiles = {
            "tile": pictures.tile,
            "columns": pictures.columns,
            "tileOf": [place.get(key, -1) for key in shown],
        }
    return {
        "points": {**points.to_dict(), **tiles},
        "sheet": None if pictures is None else data_uri(pictures.sheet, Path(SHEET)),
        "map_method": {"umap": "UMAP", "pca": "the first two principal components"}[method],
        "map_names": [one.name for one in points.maps],
        "per_class": [
            {"name": name, "images": images, "shares": [_share(value) for pair in shares for value in pair]}
            for name, images, shares in per_class(points)
        ],
    }


def _points(stored: StoredRun, method: MapMethod, seed: int) -> PointMap | None:
    if method == "none":
        return None
    return point_map({name: stored.embeddings(name) for name in stored.parts}, method=method, seed=seed)


def _thumbnails(stored: StoredRun) -> Thumbnails | None:
    folders: Sequence[Path] = (stored.folder, *stored.parts.values())
    found = (load_thumbnails(folder) for folder in folders)
    return next((pictures for pictures in found if pictures is not None), None)


def _share(value: float | None) -> dict[str, str]:
    if value is None:
        return {"text": "n/a", "sort": ""}
    return {"text": show_value(value, percent=True), "sort": repr(value)}


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
