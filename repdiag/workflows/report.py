"""`build_report`: one finished analysis or comparison -> one HTML file that opens offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repdiag.results.reading import StoredRun, read_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from repdiag.results.thumbnails import Thumbnails
    from repdiag.workflows.hardest import HardImage

MapMethod = Literal["umap", "tsne", "pca", "none"]


def build_report(run: Path, out: Path, *, map_method: MapMethod = "umap", seed: int = 0) -> Path:
    """Write the report of one analysis or comparison; `map_method` "none" leaves the interactive map out.

    A page within the result's folder belongs to its record. Raises `UsageError` for a file that is no such page.
    """
    from repdiag.report.build import render_report
    from repdiag.results.pages import check_page, write_page
    from repdiag.workflows.moved_rows import moved_images

    check_page(out, run=run)
    stored = read_run(run)
    pictures = _thumbnails(stored)
    tiles = {} if pictures is None else {key: place for place, key in enumerate(pictures.keys)}
    points = None if map_method == "none" else _points(stored, map_method, seed, tiles)
    shown: dict[str, Any] = {"hardest": _hardest(stored, tiles), "moved": moved_images(stored, tiles)}
    page = render_report(stored, points=points, pictures=pictures, **shown)
    return write_page(out, page, run=run)


def _points(
    stored: StoredRun, method: Literal["umap", "tsne", "pca"], seed: int, tiles: Mapping[str, int]
) -> dict[str, Any] | None:
    from repdiag.embeddings.projection_2d import READINGS, TITLES, method_for
    from repdiag.results.thumbnails import thumbnail_key
    from repdiag.workflows.point_map import packed, point_map

    points = point_map({name: stored.embeddings(name) for name in stored.parts}, method=method, seed=seed)
    if points is None:
        return None
    shown = map(thumbnail_key, points.splits, points.row_ids)
    tile_of = packed([tiles.get(key, -1) for key in shown], "<i4") if tiles else None
    drawn_by = method_for(len(points.row_ids), method)
    return {
        "points": {**points.to_dict(), "tileOf": tile_of},
        "map_method": TITLES[drawn_by],
        "map_reading": READINGS[drawn_by],
        "map_names": [one.name for one in points.maps],
    }


def _hardest(stored: StoredRun, tiles: Mapping[str, int]) -> dict[str, Sequence[HardImage]]:
    from repdiag.workflows.hardest import hardest_images

    sets = {name: stored.embeddings(name).get("val") for name in stored.parts}
    found = {name: hardest_images(val, split="val", tiles=tiles) for name, val in sets.items() if val is not None}
    return {name: images for name, images in found.items() if images}


def _thumbnails(stored: StoredRun) -> Thumbnails | None:
    from repdiag.results.thumbnails import load_thumbnails

    folders: Sequence[Path] = (stored.folder, *stored.parts.values())
    found = (load_thumbnails(folder) for folder in folders)
    return next((pictures for pictures in found if pictures is not None), None)
