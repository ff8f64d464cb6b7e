"""Cost of an encoder: sizes and operations as counted by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.core import memory
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
    assert (cost.device, cost.threads) == ("cpu", 1)


def test_the_time_is_that_of_one_image() -> None:
    cost = measure_cost(encoder(Slow(), nn.Flatten(), size=2), batch=4)
    assert cost.ms_per_image is not None
    assert 5.0 <= cost.ms_per_image < 50.0  # 20 ms for a batch of four; a busy machine may take longer
    assert cost.ms_alone is not None
    assert 20.0 <= cost.ms_alone < 200.0  # one image alone takes as long as four


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"x" * 12_345)
    known = encoder(nn.Flatten(), size=2)
    assert measure_cost(known).file_bytes is None  # it was never in a file
    known.info = replace(known.info, path=str(tmp_path / "net.pth"))
    assert measure_cost(known).file_bytes == 12_345
    assert measure_cost(known).runtime.startswith("torch ")


def test_memory_is_what_the_work_takes_at_most() -> None:
    """64 MiB are touched and freed again; what was freed before does not hide it."""
    taken = memory.memory_taken(lambda: torch.ones(2**24).sum())
    if taken is None:
        pytest.skip("no system that says how large the process was")
    assert 60 * 2**20 < taken < 90 * 2**20
    assert memory.memory_taken(lambda: torch.ones(2**24).sum()) >= 60 * 2**20  # type: ignore[operator]


def test_a_system_that_does_not_say_it_gives_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = []
    monkeypatch.setattr(memory, "_FORGET", tmp_path / "no folder" / "clear_refs")
    assert memory.memory_taken(lambda: ran.append(1)) is None
    assert ran == [1]
