"""Evaluation views: a pure function of seed, row id and settings."""

from pathlib import Path

import numpy as np
import pytest
import torch

from repdiag.config.views import EvaluationSettings
from repdiag.core.errors import ConfigError
from repdiag.data.datasets import open_dataset
from repdiag.data.image_folder import open_image_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.packed import pack
from repdiag.data.resample import resize_and_centre
from repdiag.data.views import EvaluationViews

SETTINGS = EvaluationSettings(preset="moco_v2", seed=3)


@pytest.fixture(params=["digits", "folder"])
def split(request: pytest.FixtureRequest, folder: Path) -> ImageSplit:
    return open_dataset("digits", "val") if request.param == "digits" else open_image_folder(folder, "val")


def test_batch_size_order_and_company_change_nothing(split: ImageSplit) -> None:
    views = EvaluationViews(SETTINGS, 20)
    rows = np.arange(9)
    together = views.views(split, rows)
    assert together.shape == (2, 9, 3, 20, 20)
    for order in (rows[::-1], rows[[4]], rows[2:5]):
        torch.testing.assert_close(views.views(split, order), together[:, order.copy()], atol=1e-6, rtol=0)
    inside = split.subset(rows[3:6])
    torch.testing.assert_close(views.views(inside, [0, 1, 2]), together[:, 3:6], atol=1e-6, rtol=0)
    assert (together[0] - together[1]).abs().mean() > 0.02


def test_batch_gives_originals_and_views_at_once(split: ImageSplit) -> None:
    views = EvaluationViews(SETTINGS, 20)
    originals, augmented = views.batch(split, range(5))
    assert torch.equal(originals, views.originals(split, range(5)))
    assert torch.equal(augmented, views.views(split, range(5)))


def test_originals_are_resized_and_cropped_at_the_centre(folder: Path) -> None:
    split = open_image_folder(folder, "val")
    found = EvaluationViews(SETTINGS, 16, resize=18, interpolation="bicubic").originals(split, range(9))
    for row in range(9):
        wanted = resize_and_centre(split.image(row), resize=18, size=16, interpolation="bicubic")
        torch.testing.assert_close(found[row], wanted / 255)


def test_at_its_own_size_an_image_is_its_original() -> None:
    split = open_dataset("digits", "val")
    found = EvaluationViews(SETTINGS, 16, resize=18).originals(split, range(4))
    assert torch.equal(found, split.images(range(4)) / 255)


def test_more_views_leave_the_first_ones_alone_and_none_are_possible(split: ImageSplit) -> None:
    two = EvaluationViews(SETTINGS, 16).views(split, range(3))
    four = EvaluationViews(SETTINGS.model_copy(update={"views": 4}), 16).views(split, range(3))
    assert torch.equal(four[:2], two)
    none = EvaluationViews(SETTINGS.model_copy(update={"views": 0}), 16)
    assert none.views(split, range(3)).shape == (0, 3, 3, 16, 16)
    assert none.batch(split, range(3))[0].shape == (3, 3, 16, 16)


def test_multi_crop_presets_are_evaluated_on_their_full_size_views() -> None:
    split = open_dataset("digits", "val")
    settings = EvaluationSettings(preset="sslight_dino", views=3)
    assert EvaluationViews(settings, 24).views(split, range(2)).shape == (3, 2, 3, 24, 24)


def test_difficulty_bounds_the_overlap() -> None:
    split = open_dataset("digits", "val")
    views = EvaluationViews(EvaluationSettings(preset="moco_v2", difficulty="hard", views=3), 16)
    overlaps = views.overlaps(split, range(12))
    assert overlaps.shape == (2, 12)
    assert 0.05 <= overlaps.min() <= overlaps.max() <= 0.25
    assert views.views(split, range(2)).shape == (3, 2, 3, 16, 16)


CHANGES = [
    ({"seed": 4}, {}),
    ({"views": 3}, {}),
    ({"preset": "moco_v2_32"}, {}),
    ({"iou": (0.3, 0.9)}, {}),
    ({}, {"image_size": 17}),
    ({}, {"resize": 22}),
    ({}, {"interpolation": "bicubic"}),
]


@pytest.mark.parametrize(("settings", "options"), CHANGES)
def test_the_fingerprint_changes_with_everything_that_changes_pixels(
    settings: dict[str, object], options: dict[str, object]
) -> None:
    def fingerprint(chosen: EvaluationSettings, image_size: int = 16, **more: object) -> str:
        return EvaluationViews(chosen, image_size, **more).fingerprint

    changed = EvaluationSettings.model_validate(SETTINGS.model_dump() | settings)
    assert fingerprint(changed, **options) != fingerprint(SETTINGS)
    assert fingerprint(SETTINGS.model_copy(update={"per_class": 7})) == fingerprint(SETTINGS)


def test_the_views_of_a_seed_stay_as_they_are() -> None:
    """Stored embeddings refer to views by seed, so a change of these numbers needs a new VIEWS_VERSION."""
    split = open_dataset("digits", "val")
    found = EvaluationViews(SETTINGS, 16).views(split, [0, 100, 359])
    torch.testing.assert_close(found.mean(dim=(2, 3, 4)), PINNED, atol=2e-4, rtol=0)


PINNED = torch.tensor([[0.2689, 0.4367, 0.3580], [0.3515, 0.6628, 0.3692]])


def test_a_pack_of_the_folder_gives_nearly_the_same_views(folder: Path) -> None:
    split = open_image_folder(folder, "val")
    packed = pack(split, 16)
    views = EvaluationViews(SETTINGS, 16)
    assert torch.equal(views.originals(packed, range(9)), views.originals(split, range(9)))


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="interpolation"):
        EvaluationViews(SETTINGS, 16, interpolation="nearest")
    with pytest.raises(ConfigError, match="resize"):
        EvaluationViews(SETTINGS, 16, resize=8)
