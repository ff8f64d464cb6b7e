"""Small pictures of the analyzed images in one sheet, so that a report can show them without the dataset."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from repdiag.core.errors import StoreError
from repdiag.core.files import write_atomic, write_json

SHEET = "thumbnails.webp"
INDEX = "thumbnails.json"
_LARGEST = 48
# Keeps a page of 20,000 points and four checkpoints well under 15 MB.
_BUDGET_BYTES = 6_000_000
_QUALITY = 60


@dataclass(frozen=True, kw_only=True)
class Thumbnails:
    """A sheet of square tiles in reading order; `keys` names the image of each, see `thumbnail_key`."""

    sheet: bytes
    tile: int
    columns: int
    keys: tuple[str, ...]


def thumbnail_key(split: str, row_id: str) -> str:
    """Return the name of one image: row ids are unique within a split only."""
    return f"{split}: {row_id}"


def save_thumbnails(folder: Path, images: Iterable[Tensor], *, keys: Sequence[str]) -> Path:
    """Write one sheet of all images, each scaled into a square tile, and its index.

    Images are uint8 [3, H, W]; of float [C, H, W] the first three channels are shown, or the first alone as gray, from
    the lowest to the highest level of each image.
    """
    from PIL import Image

    count = len(keys)
    columns = max(1, math.isqrt(max(count - 1, 0)) + 1)
    tile = _tile_for(count)
    sheet = Image.new("RGB", (columns * tile, math.ceil(count / columns) * tile), "white")
    for number, image in enumerate(images):
        picture = Image.fromarray(_as_rgb(image).permute(1, 2, 0).contiguous().numpy())
        picture = picture.resize(_inside(picture.size, tile), Image.Resampling.BOX if tile < picture.width else 0)
        across, down = number % columns * tile, number // columns * tile
        sheet.paste(picture, (across + (tile - picture.width) // 2, down + (tile - picture.height) // 2))
    stream = io.BytesIO()
    sheet.save(stream, "WEBP", quality=_QUALITY, method=4)
    write_atomic(folder / SHEET, lambda out: out.write(stream.getvalue()))
    return write_json(folder / INDEX, {"tile": tile, "columns": columns, "keys": list(keys)})


def load_thumbnails(folder: Path) -> Thumbnails | None:
    """Read the sheet of a run; None where the run kept none."""
    if not (folder / INDEX).is_file():
        return None
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
        return Thumbnails(
            sheet=(folder / SHEET).read_bytes(),
            tile=int(index["tile"]),
            columns=int(index["columns"]),
            keys=tuple(map(str, index["keys"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cannot read the thumbnails in {folder}", found=str(error)) from error


def _as_rgb(image: Tensor) -> Tensor:
    if not image.is_floating_point():
        return image
    shown = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    low, high = shown.min(), shown.max()
    return ((shown - low) / (high - low).clamp_min(1e-12) * 255.0).round().byte()


def _tile_for(count: int) -> int:
    """Return the tile size in pixels at which a sheet of so many photographs stays within the budget."""
    bytes_per_pixel = 0.35  # of a photograph in WebP at this quality, measured on small tiles, rounded up
    affordable = math.isqrt(int(_BUDGET_BYTES / (max(count, 1) * bytes_per_pixel)))
    return max(16, min(_LARGEST, affordable))


def _inside(size: tuple[int, int], tile: int) -> tuple[int, int]:
    scale = tile / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
