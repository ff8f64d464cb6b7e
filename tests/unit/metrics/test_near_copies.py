"""The warning of near-copies: seen where rows come in clumps, silent where they only crowd."""

from __future__ import annotations

import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.metrics.near_copies import MANY, near_copy_note, near_copy_share


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def scenes(frames: int, noise: float) -> torch.Tensor:
    return draw(0, 60, 12).repeat_interleave(frames, dim=0) + noise * draw(1, 60 * frames, 12)


@pytest.mark.parametrize("frames", [2, 5, 9])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_frames_of_one_scene_are_seen(frames: int, noise: float) -> None:
    assert near_copy_share(scenes(frames, noise)) > 0.9
    note = near_copy_note(EmbeddingSet(features=scenes(frames, noise)))
    assert note is not None
    assert "--groups" in note
    assert near_copy_note(EmbeddingSet(features=scenes(frames, noise)), grouped=True) is None


def test_directions_in_three_dimensions_stay_below_the_alarm() -> None:
    assert near_copy_share(draw(2, 400, 3)) < MANY


@pytest.mark.parametrize("dims", [4, 8, 64])
def test_independent_rows_raise_no_alarm(dims: int) -> None:
    assert near_copy_share(draw(2, 400, dims)) < MANY / 2
    classes = 5.0 * torch.eye(dims)[torch.arange(3).repeat_interleave(100)] + 0.1 * draw(3, 300, dims)
    assert near_copy_share(classes) < MANY / 2


def test_small_tight_classes_are_no_scenes() -> None:
    labels = torch.arange(60).repeat_interleave(5)
    assert near_copy_share(scenes(5, 0.05), labels) == 0.0
    assert near_copy_share(scenes(5, 0.05), labels // 6) > 0.9


def test_rows_without_a_direction_are_left_to_the_metrics() -> None:
    assert near_copy_note(EmbeddingSet(features=torch.zeros(30, 4))) is None
