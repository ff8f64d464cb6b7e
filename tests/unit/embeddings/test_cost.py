"""Cost of an encoder: sizes and operations as counted by hand."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.embeddings.cost import measure_cost


class Slow(nn.Module):
    def forward(self, images):
        time.sleep(0.02)
        return images


def encoder(*layers: nn.Module, size: int) -> Encoder:
    known = dict.fromkeys(("name", "path", "sha256", "family", "backbone", "branch", "layer"), "own")
    return Encoder(nn.Sequential(*layers), EncoderInfo(**known, feature_dim=1, image_size=size, parameters=1))


def test_sizes_and_operations_are_those_counted_by_hand() -> None:
    """A 3x3 convolution of 3 to 8 channels on 8 x 8 pixels, padded: 2 x 64 x 8 x 27 operations; a linear layer of 8 to
    5: 2 x 40."""
    cost = measure_cost(
        encoder(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), size=8
        )
    )
    assert (cost.parameters, cost.width) == (3 * 8 * 9 + 8 * 5 + 5, 5)
    assert cost.gflops == pytest.approx((2 * 64 * 8 * 27 + 2 * 40) / 1e9)
    assert (cost.device, cost.threads) == ("cpu", torch.get_num_threads())


def test_the_time_is_that_of_one_image() -> None:
    cost = measure_cost(encoder(Slow(), nn.Flatten(), size=2), batch=4)
    assert cost.ms_per_image is not None
    assert 5.0 <= cost.ms_per_image < 50.0  # 20 ms for a batch of four; a busy machine may take longer
