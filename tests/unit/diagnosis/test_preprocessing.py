"""The check of the preprocessing: wrong contrast is found, right contrast passes, and what cannot be told is said."""

from __future__ import annotations

import doctest
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.core.errors import MetricError
from repdiag.core.input_statistics import GIVEN
from repdiag.diagnosis.preprocessing import AS_TRAINED, CANNOT_TELL, NOT_AS_TRAINED, judge_preprocessing
from repdiag.embeddings import first_batch_norm
from repdiag.embeddings.first_batch_norm import COMMON, input_statistics

IMAGENET = COMMON["ImageNet's mean and std"]
HALF = COMMON["mean .5, std .5"]
UNIT = COMMON["pixels in [0, 1], nothing subtracted"]
BYTES = COMMON["pixels in [0, 255], nothing subtracted"]


def images(seed: int = 0, *, count: int = 64, blur: int = 1) -> Tensor:
    """Return smooth colour fields with some noise, in [0, 1]; `blur` > 1 leaves fewer fine details."""
    draw = torch.Generator().manual_seed(seed)
    coarse = nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=draw), size=24, mode="bilinear")
    fine = torch.rand(count, 3, 24 // blur, 24 // blur, generator=draw)
    return (0.7 * coarse + 0.3 * nn.functional.interpolate(fine, size=24)).clamp(0.0, 1.0)


def trained_with(mean: Any, std: Any, *, front: nn.Module | None = None) -> nn.Sequential:
    """Return a network whose batch norm has seen images of one normalisation."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(16, momentum=None)  # remembers the mean over all batches
    network = nn.Sequential(front or nn.Identity(), nn.Conv2d(3, 16, 3), norm, nn.AdaptiveAvgPool2d(1))
    for seed in range(1, 11):
        batch = images(seed)
        network((batch - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1))
    return network


def read_with(network: nn.Module, mean: Any, std: Any) -> Encoder:
    known = dict.fromkeys(("name", "path", "sha256", "family", "backbone", "branch", "layer"), "own")
    info = EncoderInfo(**known, feature_dim=16, image_size=24, parameters=1, mean=tuple(mean), std=tuple(std))
    return Encoder(nn.Sequential(network, nn.Flatten()), info)


@pytest.mark.parametrize("right", [IMAGENET, HALF, UNIT], ids=["imagenet", "half", "unit"])
def test_the_right_normalisation_passes(right) -> None:
    found = judge_preprocessing(input_statistics(read_with(trained_with(*right), *right), images()))
    assert (found.verdict, found.severity, found.better) == (AS_TRAINED, "none", None)
    assert abs(found.evidence[0].value or 0.0) < 0.2


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (HALF, 2 * math.log(0.225 / 0.5)),
        (UNIT, 2 * math.log(0.225)),
        (BYTES, 2 * math.log(0.225 * 255)),
        ((IMAGENET[0], (1.0,) * 3), 2 * math.log(0.225)),
    ],
    ids=["half", "unit", "bytes", "std 1"],
)
def test_a_wrong_one_is_found_with_its_size_and_the_right_one_is_named(wrong, expected: float) -> None:
    """A linear layer's variances go with the square of the contrast: the log ratio is 2 log(right std / wrong std)."""
    found = judge_preprocessing(input_statistics(read_with(trained_with(*IMAGENET), *wrong), images()))
    assert found.verdict == NOT_AS_TRAINED
    assert found.evidence[0].value == pytest.approx(expected, abs=0.25)
    assert found.better == "ImageNet's mean and std"
    assert "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225" in found.advice[0].what


def test_images_without_fine_detail_are_not_called_badly_prepared() -> None:
    """Blur takes variance from the channels that look for detail and leaves the others: no matter of contrast."""
    found = judge_preprocessing(
        input_statistics(read_with(trained_with(*IMAGENET), *IMAGENET), images(seed=99, blur=6))
    )
    assert found.verdict != NOT_AS_TRAINED


def test_dark_images_are_found_by_the_shift_of_their_means() -> None:
    encoder = read_with(trained_with(*IMAGENET), (3.0,) * 3, IMAGENET[1])
    found = judge_preprocessing(input_statistics(encoder, images()))
    assert found.verdict == NOT_AS_TRAINED
    assert "brightness" in found.summary


@pytest.mark.parametrize("kind", ["no batch norm", "untrained", "behind a norm of its own"])
def test_what_cannot_be_told_is_said(kind: str) -> None:
    network: nn.Module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1))
    if kind == "untrained":
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1))
    if kind == "behind a norm of its own":  # a layer norm over the image takes the contrast away
        network = trained_with(*IMAGENET, front=nn.GroupNorm(1, 3, affine=False))
    found = judge_preprocessing(input_statistics(read_with(network, *UNIT), images()))
    assert (found.verdict, found.severity) == (CANNOT_TELL, "unknown")
    assert found.advice == ()


def test_the_forward_pass_ends_at_the_batch_norm_and_leaves_no_hook() -> None:
    network = trained_with(*IMAGENET)
    runs: list[int] = []
    network.append(nn.Identity())
    network[-1].register_forward_hook(lambda *_: runs.append(1))
    encoder = read_with(network, *IMAGENET)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    statistics = input_statistics(encoder, images())
    assert runs == []
    assert statistics is not None
    assert statistics.reading(GIVEN).means.shape == (64, 16)
    assert not any(module._forward_pre_hooks for module in encoder.modules())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_a_handful_of_images_is_refused() -> None:
    encoder = read_with(trained_with(*IMAGENET), *IMAGENET)
    with pytest.raises(MetricError, match="needs 16 images"):
        judge_preprocessing(input_statistics(encoder, images(count=9)))


def test_the_examples_hold() -> None:
    assert doctest.testmod(first_batch_norm).failed == 0
