"""View settings refuse what cannot be, and survive JSON."""

import pytest
from pydantic import ValidationError

from repdiag.config.views import VIEW_PRESETS, EvaluationSettings, ViewSettings, view_preset
from repdiag.core.errors import UsageError


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop_scale": (0.0, 1.0)},
        {"crop_scale": (0.5, 0.2)},
        {"crop_scale": (0.5, 1.2)},
        {"crop_ratio": (-1.0, 1.0)},
        {"flip_p": 1.5},
        {"hue": 0.6},
        {"brightness": -0.1},
        {"blur_sigma": (0.0, 2.0)},
        {"rotate": 200.0},
        {"patch_sizes": (-1,)},
        {"colour": 1.0},
    ],
)
def test_impossible_views_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ViewSettings.model_validate(wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"views": -1}, {"iou": (0.5, 0.1)}, {"difficulty": "hard", "iou": (0.1, 0.2)}, {"difficulty": "hard", "views": 1}],
)
def test_impossible_evaluations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluationSettings.model_validate(wrong)


@pytest.mark.parametrize("name", sorted(VIEW_PRESETS))
def test_presets_survive_json(name: str) -> None:
    for view in view_preset(name):
        assert ViewSettings.model_validate_json(view.model_dump_json()) == view


def test_a_typo_gets_the_nearest_preset() -> None:
    with pytest.raises(UsageError, match="moco_v2"):
        view_preset("moco-v2")
    with pytest.raises(UsageError, match="digits"):
        EvaluationSettings(preset="digit")


def test_multi_crop_presets_have_two_large_and_six_small_views() -> None:
    for name, small, scale in (("sslight_dino", 128, (0.05, 0.3)), ("dino_multi_crop", 96, (0.05, 0.14))):
        views = view_preset(name)
        assert [view.size for view in views] == [None, None] + [small] * 6
        assert views[2].crop_scale == scale
        assert [view.blur_p for view in views[:3]] == [1.0, 0.1, 0.5]
        assert [view.solarize_p for view in views[:3]] == [0.0, 0.2, 0.0]
