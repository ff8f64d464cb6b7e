"""Colour operations against torchvision's functions, image by image with the same factors."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as reference

from repdiag.data import colour

TOLERANCE = 0.1 / 255  # torchvision rounds a luma weight to .2989


def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(6, 3, 19, 23, generator=generator)
    noise[1] = noise[1, :1]  # gray: no hue
    noise[2] = 0.0
    noise[3] = 1.0
    noise[4, :, :5] = torch.eye(3).repeat_interleave(5, 0).T.reshape(3, 5, 3).repeat(1, 1, 8)[:, :, :23]  # primaries
    return noise


@pytest.mark.parametrize(
    ("ours", "theirs", "factors"),
    [
        (colour.scale_brightness, reference.adjust_brightness, [0.0, 0.6, 1.0, 1.4, 1.8, 3.0]),
        (colour.scale_contrast, reference.adjust_contrast, [0.6, 0.0, 1.4, 0.8, 1.8, 1.2]),
        (colour.scale_saturation, reference.adjust_saturation, [0.6, 1.4, 1.0, 0.8, 0.0, 1.8]),
        (colour.shift_hue, reference.adjust_hue, [0.1, -0.1, 0.5, -0.5, 0.3, -0.37]),
    ],
)
def test_jitter_equals_torchvision(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor], factors: list[float]
) -> None:
    batch = images()
    found = ours(batch.clone(), torch.tensor(factors))
    for row, factor in enumerate(factors):
        torch.testing.assert_close(found[row], theirs(batch[row], factor), atol=TOLERANCE, rtol=0)


def test_hue_turns_red_into_green_into_blue() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    green = colour.shift_hue(red.clone(), torch.tensor([1 / 3]))
    torch.testing.assert_close(green.flatten(), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    blue = colour.shift_hue(green, torch.tensor([1 / 3]))
    torch.testing.assert_close(blue.flatten(), torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)


def test_gray_and_solarize_equal_torchvision() -> None:
    batch = images()
    wanted = reference.rgb_to_grayscale(batch, num_output_channels=3)
    torch.testing.assert_close(colour.to_gray(batch.clone()), wanted, atol=TOLERANCE, rtol=0)
    for threshold in (0.0, 0.5, 0.9):
        assert torch.equal(colour.solarize(batch, threshold), reference.solarize(batch, threshold))
