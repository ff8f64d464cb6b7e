"""COCO's average precision: 101 points, IoU .5 to .95, crowds ignored, at most 100 detections an image.

Not VOC's: there it is 11 points on boxes one pixel larger, and the same detections score two points higher.
Reference: pycocotools' COCOeval, against which the tests hold it to 1e-12, ties and crowds included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_MOST = 100


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The objects of one image: shapes (boxes [G, 4] as x, y, width, height, or masks [G, H, W]), labels [G], and
    which are crowds, that count for nobody."""

    shapes: Array
    labels: Array
    crowd: Array


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What was found in one image: shapes as in `Truth`, labels [D] and scores [D]."""

    shapes: Array
    labels: Array
    scores: Array


@dataclass(frozen=True, kw_only=True)
class _Matched:
    """All detections of one class, best first: their image, and by threshold whether each is right or ignored."""

    image: Array
    right: Array
    ignored: Array
    objects: Array  # [images]: how many count


class AveragePrecision:
    """Matches once; the values of all images, or of images drawn with repeats, follow from the matches."""

    def __init__(self, truth: Sequence[Truth], found: Sequence[Detections]) -> None:
        labels = sorted({int(label) for image in truth for label in image.labels})
        self._images = len(truth)
        self._classes = [_matched(truth, found, label) for label in labels]

    def values(self, weights: Array | None = None) -> dict[str, float]:
        """Return AP, AP50 and AP75; `weights` [images] say how often each image was drawn."""
        counts = np.ones(self._images) if weights is None else weights
        each = [one for matched in self._classes if (one := _precision(matched, counts)) is not None]
        if not each:
            return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0}
        table = np.stack(each)  # [classes, thresholds, recalls]
        return {"ap": float(table.mean()), "ap50": float(table[:, 0].mean()), "ap75": float(table[:, 5].mean())}

    def replicates(self, *, draws: int, seed: int) -> Array:
        """Return AP, AP50, AP75 over images drawn with repeats: [draws, 3]; the same seed draws the same images."""
        generator = np.random.default_rng(seed)
        found = []
        for _ in range(draws):
            weights = np.bincount(generator.integers(self._images, size=self._images), minlength=self._images)
            found.append(list(self.values(weights.astype(np.float64)).values()))
        return np.array(found)


def _matched(truth: Sequence[Truth], found: Sequence[Detections], label: int) -> _Matched:
    images, scores, right, ignored, objects = [], [], [], [], np.zeros(len(truth))
    for number, (image, detections) in enumerate(zip(truth, found, strict=True)):
        mine, theirs = image.labels == label, detections.labels == label
        objects[number] = int((mine & ~image.crowd).sum())
        order = np.argsort(-detections.scores[theirs], kind="mergesort")[:_MOST]
        hits, passed = _match(
            overlaps(detections.shapes[theirs][order], image.shapes[mine], image.crowd[mine]), image.crowd[mine]
        )
        images.append(np.full(len(order), number))
        scores.append(detections.scores[theirs][order])
        right.append(hits)
        ignored.append(passed)
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    return _Matched(
        image=np.concatenate(images)[order],
        right=np.concatenate(right, axis=1)[:, order],
        ignored=np.concatenate(ignored, axis=1)[:, order],
        objects=objects,
    )


def _match(ious: Array, crowd: Array) -> tuple[Array, Array]:
    """Give every detection, best first, the free object that it overlaps most; a crowd may be taken often.

    Return by threshold whether each detection is right, and whether it is ignored for lying in a crowd.
    """
    right, ignored = np.zeros((2, len(THRESHOLDS), len(ious)), dtype=bool)
    order = np.argsort(crowd, kind="mergesort")  # objects that count come first
    for place, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(crowd), dtype=bool)
        for detection, row in enumerate(ious):
            best, taken = min(threshold, 1.0 - 1e-10), -1
            for one in order:
                if not free[one] and not crowd[one]:
                    continue
                if taken >= 0 and not crowd[taken] and crowd[one]:
                    break
                if row[one] >= best:
                    best, taken = row[one], one
            if taken >= 0:
                free[taken] = False
                ignored[place, detection] = crowd[taken]
                right[place, detection] = not crowd[taken]
    return right, ignored


def overlaps(found: Array, objects: Array, crowd: Array) -> Array:
    """Return intersection over union [D, G] of boxes (x, y, width, height) or masks; with a crowd over the detection
    alone.
    """
    if len(found) == 0 or len(objects) == 0:
        return np.zeros((len(found), len(objects)))
    if found.ndim == 2:
        one, two = found.astype(np.float64)[:, None], objects.astype(np.float64)[None]
        ends = np.minimum(one[..., :2] + one[..., 2:], two[..., :2] + two[..., 2:])
        common = np.clip(ends - np.maximum(one[..., :2], two[..., :2]), 0.0, None).prod(axis=-1)
        areas = one[..., 2] * one[..., 3], two[..., 2] * two[..., 3]
    else:
        flat, other = (shape.reshape(len(shape), -1).astype(np.float64) for shape in (found, objects))
        common = flat @ other.T
        areas = flat.sum(axis=1)[:, None], other.sum(axis=1)[None]
    union = np.where(crowd[None], areas[0], areas[0] + areas[1] - common)
    found_ious: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return found_ious


def _precision(matched: _Matched, weights: Array) -> Array | None:
    """Return the precision [thresholds, recalls] of one class; None where nothing of it counts."""
    objects = float((matched.objects * weights).sum())
    if objects == 0.0:
        return None
    times = weights[matched.image]
    right = np.cumsum(matched.right * times, axis=1)
    wrong = np.cumsum((~matched.right & ~matched.ignored) * times, axis=1)
    recall, precision = right / objects, right / (right + wrong + np.spacing(1))
    ahead = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    table = np.zeros((len(THRESHOLDS), len(_RECALLS)))
    for place in range(len(THRESHOLDS)):
        at = np.searchsorted(recall[place], _RECALLS, side="left")
        inside = at < recall.shape[1]
        table[place, inside] = ahead[place, at[inside]]
    return table
