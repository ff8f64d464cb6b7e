"""Crop boxes: the distribution of torchvision's, and pairs within the bounds of their overlap."""

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from repdiag.config.views import DIFFICULTY_IOU, ViewSettings, view_preset
from repdiag.core.errors import DataError
from repdiag.data.counter_rng import CounterStream
from repdiag.data.crops import box_iou, draw_boxes, draw_overlapping_boxes


def streams(count: int, view: int = 0) -> CounterStream:
    return CounterStream.keyed(np.arange(count, dtype=np.uint64), purpose="test", seed=0, view=view)


def sizes(count: int, height: int, width: int) -> np.ndarray:
    return np.broadcast_to(np.array([height, width]), (count, 2))


@pytest.mark.parametrize(("height", "width"), [(96, 96), (60, 150), (200, 30)])
def test_boxes_are_distributed_as_torchvisions(height: int, width: int) -> None:
    count = 4000
    ours = draw_boxes(ViewSettings(crop_scale=(0.2, 1.0)), streams(count), slot=0, sizes=sizes(count, height, width))
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(count)])
    torch.set_rng_state(generator_state)
    for column in range(4):
        # Two-sample Kolmogorov-Smirnov: at 4,000 each the distance exceeds .043 once in 1,000 equal distributions.
        grid = np.unique(np.concatenate([ours[:, column], theirs[:, column]]))
        distance = np.abs(
            np.searchsorted(np.sort(ours[:, column]), grid, "right")
            - np.searchsorted(np.sort(theirs[:, column]), grid, "right")
        ).max()
        assert distance / count < 0.043


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (500, 1), (7, 8)])
def test_boxes_lie_within_images_of_any_shape(height: int, width: int) -> None:
    boxes = draw_boxes(ViewSettings(crop_scale=(0.08, 1.0)), streams(500), slot=0, sizes=sizes(500, height, width))
    assert boxes[:, :2].min() >= 0
    assert boxes[:, 2:].min() >= 1
    assert (boxes[:, 0] + boxes[:, 2]).max() <= height
    assert (boxes[:, 1] + boxes[:, 3]).max() <= width


def test_iou_by_hand() -> None:
    first = np.array([[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 4], [2, 2, 2, 2]])
    second = np.array([[0, 0, 4, 4], [4, 0, 4, 4], [2, 2, 4, 4], [0, 0, 4, 4]])
    # Overlaps of 16 in 16, 0 in 32, 4 in 28 and 4 in 16 pixels.
    np.testing.assert_allclose(box_iou(first, second), [1.0, 0.0, 1 / 7, 0.25])


@pytest.mark.parametrize("difficulty", DIFFICULTY_IOU)
def test_pairs_lie_in_their_difficulty_bin_and_do_not_depend_on_company(difficulty: str) -> None:
    views = view_preset("moco_v2")
    low, high = DIFFICULTY_IOU[difficulty]
    count = 24
    pair = tuple(streams(count, view) for view in range(2))
    first, second = draw_overlapping_boxes(views, pair, slot=0, sizes=sizes(count, 224, 224), bounds=(low, high))
    iou = box_iou(first, second)
    assert low <= iou.min() <= iou.max() <= high
    one = tuple(stream.rows(np.array([11])) for stream in pair)
    alone = draw_overlapping_boxes(views, one, slot=0, sizes=sizes(1, 224, 224), bounds=(low, high))
    np.testing.assert_array_equal(np.stack(alone)[:, 0], np.stack([first, second])[:, 11])


def test_an_impossible_overlap_is_an_error_and_never_a_near_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repdiag.data.crops.ATTEMPTS", 50)
    whole = (ViewSettings(), ViewSettings())
    with pytest.raises(DataError, match="3 of 3 images"):
        draw_overlapping_boxes(whole, (streams(3), streams(3, 1)), slot=0, sizes=sizes(3, 9, 9), bounds=(0.0001, 0.05))
