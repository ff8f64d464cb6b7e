"""Random resized crops: boxes drawn as torchvision's RandomResizedCrop draws them, and their overlaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repdiag.config.views import Interval, ViewSettings
from repdiag.core.errors import DataError
from repdiag.data.counter_rng import CounterStream, Uniforms

Boxes = NDArray[np.int64]
"""One (top, left, height, width) a row, in pixels of the image."""
Sizes = NDArray[np.int64]
"""One (height, width) a row."""

TRIES = 10  # torchvision gives up after ten boxes that do not fit and takes the centre
_PER_TRY = 4  # area, ratio, top, left
SLOTS = TRIES * _PER_TRY
# MoCo-v2 crops of a square image fall into the rarest difficulty bin once in 500 draws.
ATTEMPTS = 16384


def whole_boxes(sizes: Sizes) -> Boxes:
    """Return the box of the whole image for each row."""
    return np.concatenate([np.zeros_like(sizes), sizes], axis=1)


def draw_boxes(view: ViewSettings, stream: CounterStream, *, slot: int, sizes: Sizes) -> Boxes:
    """Return one crop a row: area uniform in `crop_scale`, ratio log-uniform in `crop_ratio`, place uniform."""
    if view.crop_scale is None:
        return whole_boxes(sizes)
    draws = stream.uniform(slot, SLOTS).reshape(len(sizes), TRIES, _PER_TRY)
    height, width = sizes[:, :1], sizes[:, 1:]
    area = height * width * _between(draws[..., 0], view.crop_scale)
    ratio = np.exp(_between(draws[..., 1], (np.log(view.crop_ratio[0]), np.log(view.crop_ratio[1]))))
    w = np.rint(np.sqrt(area * ratio)).astype(np.int64)
    h = np.rint(np.sqrt(area / ratio)).astype(np.int64)
    fits: NDArray[np.bool_] = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    top = np.floor(draws[..., 2] * (height - h + 1)).astype(np.int64)
    left = np.floor(draws[..., 3] * (width - w + 1)).astype(np.int64)
    boxes = np.stack([top, left, h, w], axis=2)
    first = boxes[np.arange(len(sizes)), fits.argmax(axis=1)]
    return np.where(fits.any(axis=1, keepdims=True), first, _centre_boxes(sizes, view.crop_ratio))


def box_iou(first: Boxes, second: Boxes) -> Uniforms:
    """Return intersection over union of the boxes, row by row (any leading axes)."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = np.prod(first[..., 2:], axis=-1) + np.prod(second[..., 2:], axis=-1) - common
    ious: Uniforms = common / union
    return ious


def draw_overlapping_boxes(
    views: tuple[ViewSettings, ...],
    streams: tuple[CounterStream, ...],
    *,
    slot: int,
    sizes: Sizes,
    bounds: Interval,
) -> tuple[Boxes, ...]:
    """Return one box a view, redrawn together until every later one overlaps the first (IoU) within `bounds`.

    The n-th joint draw of an image is the same whatever the other images need. Raises `DataError` when none of
    `ATTEMPTS` fits: a pair outside the interval is never passed off as one inside.
    """
    accepted = tuple(whole_boxes(sizes) for _ in views)
    open_rows = np.arange(len(sizes))
    for attempt in range(ATTEMPTS):
        boxes = tuple(
            draw_boxes(view, stream.rows(open_rows), slot=slot + attempt * SLOTS, sizes=sizes[open_rows])
            for view, stream in zip(views, streams, strict=True)
        )
        ious = np.array([box_iou(boxes[0], later) for later in boxes[1:]])
        fits = ((ious >= bounds[0]) & (ious <= bounds[1])).all(axis=0)
        for old, new in zip(accepted, boxes, strict=True):
            old[open_rows[fits]] = new[fits]
        open_rows = open_rows[~fits]
        if len(open_rows) == 0:
            return accepted
    raise DataError(
        f"no crops with an overlap within {bounds} in {ATTEMPTS} draws",
        found=f"{len(open_rows)} of {len(sizes)} images without",
        hint="choose an easier difficulty, or a preset with smaller crops",
    )


def _between(draws: Uniforms, bounds: Interval) -> Uniforms:
    return bounds[0] + draws * (bounds[1] - bounds[0])


def _centre_boxes(sizes: Sizes, ratio: Interval) -> Boxes:
    height, width = sizes[:, 0], sizes[:, 1]
    aspect = np.clip(width / height, *ratio)
    w = np.minimum(width, np.rint(height * aspect).astype(np.int64)).clip(1)
    h = np.minimum(height, np.rint(width / aspect).astype(np.int64)).clip(1)
    return np.stack([(height - h) // 2, (width - w) // 2, h, w], axis=1)
