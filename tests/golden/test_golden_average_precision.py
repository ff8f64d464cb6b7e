"""Our average precision against pycocotools', with ties of scores and of overlaps, crowds and empty images."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from repdiag.downstream.average_precision import AveragePrecision, Detections, Truth
from repdiag.downstream.measures import eleven_point_precision

IMAGES, CLASSES, SIDE = 40, 4, 48
KINDS = ["boxes", "masks"]


def ellipse(x: float, y: float, w: float, h: float) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    return ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2 <= 1


@pytest.fixture(scope="module")
def drawn() -> list[tuple[list, list]]:
    """By image: objects (box, class, crowd) and detections (box, class, score); scores have two digits, so they tie."""
    draws = np.random.default_rng(0)
    found = []
    for _ in range(IMAGES):
        objects, detections = [], []
        for _ in range(draws.integers(0, 7)):
            w, h = draws.integers(6, 40, 2)
            box = np.array([draws.integers(0, SIDE - w), draws.integers(0, SIDE - h), w, h], dtype=float)
            label = int(draws.integers(1, CLASSES + 1))
            objects.append((box, label, bool(draws.random() < 0.1)))
            for _ in range(draws.integers(0, 4)):
                moved = np.maximum(box + np.round(draws.normal(0, 0.1, 4) * box[[2, 3, 2, 3]]), [0, 0, 2, 2])
                other = label if draws.random() < 0.8 else int(draws.integers(1, CLASSES + 1))
                detections.append((moved, other, round(float(draws.random()), 2)))
        found.append((objects, detections))
    return found


def shapes(boxes: list, kind: str) -> np.ndarray:
    if kind == "boxes":
        return np.array(boxes, dtype=float).reshape(-1, 4)
    return np.array([ellipse(*box) for box in boxes], dtype=bool).reshape(-1, SIDE, SIDE)


def ours(drawn: list, kind: str) -> AveragePrecision:
    truth = [
        Truth(
            shapes=shapes([box for box, _, _ in objects], kind),
            labels=np.array([label for _, label, _ in objects], dtype=int),
            crowd=np.array([crowd for _, _, crowd in objects], dtype=bool),
        )
        for objects, _ in drawn
    ]
    found = [
        Detections(
            shapes=shapes([box for box, _, _ in detections], kind),
            labels=np.array([label for _, label, _ in detections], dtype=int),
            scores=np.array([score for _, _, score in detections], dtype=float),
        )
        for _, detections in drawn
    ]
    return AveragePrecision(truth, found)


def theirs(drawn: list, kind: str) -> list[float]:
    from pycocotools import mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def of(box: np.ndarray) -> dict:
        if kind == "boxes":
            return {"bbox": box.tolist(), "area": float(box[2] * box[3])}
        coded = mask.encode(np.asfortranarray(ellipse(*box).astype(np.uint8)))
        return {"segmentation": coded, "area": float(ellipse(*box).sum())}

    annotations, results = [], []
    for number, (objects, detections) in enumerate(drawn, start=1):
        for box, label, crowd in objects:
            facts = {"id": len(annotations) + 1, "image_id": number, "category_id": label, "iscrowd": int(crowd)}
            annotations.append({**facts, **of(box)})
        for box, label, score in detections:
            results.append({"image_id": number, "category_id": label, "score": score, **of(box)})
            if kind == "masks":
                results[-1].pop("area")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": number + 1, "width": SIDE, "height": SIDE} for number in range(IMAGES)],
            "categories": [{"id": label, "name": str(label)} for label in range(1, CLASSES + 1)],
            "annotations": annotations,
        }
        truth.createIndex()
        made = COCOeval(truth, truth.loadRes(results), "bbox" if kind == "boxes" else "segm")
        made.evaluate()
        made.accumulate()
        made.summarize()
    return [float(made.stats[place]) for place in range(3)]


@pytest.mark.parametrize("kind", KINDS)
def test_ap_ap50_and_ap75_are_those_of_pycocotools(drawn: list, kind: str) -> None:
    assert any(crowd for objects, _ in drawn for _, _, crowd in objects)
    found = ours(drawn, kind).values()
    assert list(found.values()) == pytest.approx(theirs(drawn, kind), abs=1e-12)
    assert 0.1 < found["ap75"] < found["ap"] < found["ap50"] < 0.95


def test_images_drawn_twice_are_images_given_twice(drawn: list) -> None:
    """The bootstrap counts images; giving some of them again must say the same."""
    weights = np.zeros(IMAGES)
    weights[[0, 3, 3, 7, 7, 7]] += 0
    np.add.at(weights, [0, 3, 3, 7, 9, 11, 11, 12], 1)
    again = [drawn[number] for number in np.repeat(np.arange(IMAGES), weights.astype(int))]
    weighted, given = ours(drawn, "boxes").values(weights), ours(again, "boxes").values()
    assert weighted == pytest.approx(given, abs=0.02)  # equal scores of one image's copies stand in another order


def test_vocs_eleven_points_are_another_number() -> None:
    """Of ten objects six are found first: COCO's 101 points see a recall of .6 at 61 of them, VOC's eleven at seven."""
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    one = Truth(shapes=box, labels=np.array([1]), crowd=np.array([False]))
    hit = [Detections(shapes=box, labels=np.array([1]), scores=np.array([0.9 - 0.01 * n])) for n in range(6)]
    miss = [Detections(shapes=box + 30, labels=np.array([1]), scores=np.array([0.1])) for _ in range(2)]
    none = [Detections(shapes=box[:0], labels=np.array([], dtype=int), scores=np.array([])) for _ in range(2)]
    assert AveragePrecision([one] * 10, [*hit, *miss, *none]).values()["ap"] == pytest.approx(61 / 101)
    scores = [0.9 - 0.01 * n for n in range(6)] + [0.1, 0.1, -1.0, -1.1, -1.2, -1.3]
    hits = [True] * 6 + [False] * 2 + [True] * 4
    below = [6 + 4, 12]  # what eleven points add for objects that are never found: the tail of the ranking
    expected = (7 + 4 * below[0] / below[1]) / 11
    assert eleven_point_precision(scores, hits) == pytest.approx(expected)
