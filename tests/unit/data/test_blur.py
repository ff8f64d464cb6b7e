"""Gaussian blur: against torchvision, and on an impulse."""

import pytest
import torch
from torchvision.transforms import functional as reference

from repdiag.data.blur import gaussian_blur


def test_each_sample_has_its_own_blur_equal_to_torchvisions() -> None:
    batch = torch.rand(5, 3, 31, 40, generator=torch.Generator().manual_seed(1))
    sigmas = [0.1, 0.5, 1.0, 1.37, 2.0]
    found = gaussian_blur(batch, torch.tensor(sigmas), largest=max(sigmas))
    for row, sigma in enumerate(sigmas):
        wanted = reference.gaussian_blur(batch[row], [23, 23], [sigma, sigma])
        # What is cut off beyond three deviations weighs at most .3 % on either axis.
        assert (found[row] - wanted).abs().max() < 0.5 / 255


def test_company_does_not_change_a_sample() -> None:
    batch = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    together = gaussian_blur(batch, torch.tensor([0.4, 2.0, 1.0]), largest=2.0)
    alone = gaussian_blur(batch[:1], torch.tensor([0.4]), largest=0.4)
    torch.testing.assert_close(together[:1], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", [2, 5, 64])
def test_weights_sum_to_one_on_images_of_any_size(side: int) -> None:
    found = gaussian_blur(torch.full((1, 3, side, side), 0.7), torch.tensor([2.0]), largest=2.0)
    torch.testing.assert_close(found, torch.full_like(found, 0.7), atol=1e-6, rtol=0)


def test_an_impulse_spreads_with_the_asked_variance() -> None:
    impulse = torch.zeros(1, 1, 41, 41)
    impulse[0, 0, 20, 20] = 1.0
    spread = gaussian_blur(impulse, torch.tensor([2.0]), largest=2.0)[0, 0].sum(0)
    variance = float((spread * (torch.arange(41) - 20.0) ** 2).sum())
    assert variance == pytest.approx(4.0, rel=0.04)  # a Gaussian cut at three deviations has .973 of its variance
