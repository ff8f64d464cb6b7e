"""The images whose neighbours changed most from one encoder to another, with what each of the two finds first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repdiag.core.errors import RepdiagError
from repdiag.results.thumbnails import thumbnail_key
from repdiag.workflows.hardest import Shown

if TYPE_CHECKING:
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.results.reading import StoredRun

IMAGES = 8
ROWS = 5000  # of larger sets the first ones: a few images are wanted, not the worst of all


@dataclass(frozen=True, kw_only=True)
class MovedImage:
    """One image, its nearest one before and after, and the place of the former in the new order (101: further down)."""

    image: Shown
    before: Shown
    after: Shown
    rank: int
    cosine: float | None


def moved_images(stored: StoredRun, tiles: Mapping[str, int]) -> dict[str, tuple[MovedImage, ...]]:
    """Return, by "from OLD to NEW", the images that changed most; nothing where vectors or pairs were not kept."""
    frame = stored.drift
    if frame is None:
        return {}
    sets = {name: stored.embeddings(name).get("val") for name in stored.parts}
    found = {}
    for old, new in zip(frame["old"], frame["new"], strict=True):
        first, second = sets.get(str(old)), sets.get(str(new))
        if first is not None and second is not None and (images := _moved(first, second, tiles)):
            found[f"from {old} to {new}"] = images
    return found


def _moved(old: EmbeddingSet, new: EmbeddingSet, tiles: Mapping[str, int]) -> tuple[MovedImage, ...]:
    from repdiag.diagnosis.drift.measure import measure_drift
    from repdiag.embeddings.same_rows import on_same_rows

    rows = range(min(ROWS, len(old)))
    try:
        new = on_same_rows(old, new, names=("the old encoder", "the new one"))
        numbers = measure_drift(old.select(rows), new.select(rows), intervals=False)
    except RepdiagError:  # other rows, or too few of them
        return ()
    classes = dict(zip(numbers.rows["row_id"], numbers.rows["class_name"], strict=True))

    def shown(row_id: str, of: str) -> Shown:
        agrees = classes.get(row_id) == classes.get(of)
        tile = tiles.get(thumbnail_key("val", row_id), -1)
        return Shown(row_id=row_id, class_name=str(classes.get(row_id, "")), tile=tile, agrees=agrees)

    return tuple(
        MovedImage(
            image=shown(str(row["row_id"]), str(row["row_id"])),
            before=shown(str(row["old_nearest"]), str(row["row_id"])),
            after=shown(str(row["new_nearest"]), str(row["row_id"])),
            rank=int(row["rank"]),
            cosine=None if row["cosine"] != row["cosine"] else float(row["cosine"]),
        )
        for row in numbers.rows[~numbers.rows["nearest_kept"]].head(IMAGES).to_dict(orient="records")
    )
