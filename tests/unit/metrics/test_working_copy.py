"""Rows that memory would not hold lie in a file, are read in parts, and give the same values."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
import torch

from repdiag.core import large_tensor
from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise import (
    PositiveRank,
    PotentialSum,
    TopK,
    passes,
    raw_rows,
    reduce_cross,
    reduce_pairs,
    rows,
    unit_rows,
    working_copy,
)

ROWS, DIMS = 700, 12


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(ROWS, DIMS, generator=generator)
    return features, features + 0.5 * torch.randn(ROWS, DIMS, generator=generator)


def values(features: torch.Tensor, views: torch.Tensor) -> list[torch.Tensor]:
    unit, unit_views = unit_rows(features), unit_rows(views)
    sums, ranks, top = reduce_pairs(unit, PotentialSum(2.0), PositiveRank(unit_views, 5), TopK(7), tile=64)
    (across,) = reduce_cross(unit, unit_views, TopK(3), tile=64)
    (nearest,) = reduce_pairs(raw_rows(features), TopK(2), tile=64)
    return [sums, ranks.ahead, top.index, top.score, across.index, nearest.index]


def test_rows_in_a_file_give_the_values_of_rows_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = values(*drawn())
    visited: list[tuple[slice, slice]] = []
    places = passes._places
    monkeypatch.setattr(passes, "_places", lambda *a: (visited.append(place) or place for place in places(*a)))
    in_files: list[int] = []
    in_a_file = large_tensor._in_a_file
    monkeypatch.setattr(large_tensor, "_in_a_file", lambda *a: in_files.append(a[2]) or in_a_file(*a))
    # Memory for 128 rows of each side: 700 rows are read in six parts.
    for module in (large_tensor, working_copy):
        monkeypatch.setattr(module, "available_memory", lambda: 4 * 128 * DIMS * 4)
    found = values(*drawn())
    assert len(in_files) == 3
    starts = [(place[0].start, place[1].start) for place in visited[: 11 * 12 // 2]]
    assert starts != sorted(starts)
    assert sorted(starts) == [(a, b) for a in range(0, ROWS, 64) for b in range(a, ROWS, 64)]
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours.double(), theirs.double(), rtol=1e-6, atol=0.0)


def test_a_full_disk_is_an_error_that_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(large_tensor, "available_memory", lambda: 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MetricError, match="temporary files") as caught:
        rows.unit_rows(drawn()[0])
    assert tempfile.gettempdir() in str(caught.value.found)


def test_no_file_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(large_tensor, "available_memory", lambda: 0)
    made = unit_rows(drawn()[0])
    assert list(tmp_path.iterdir()) == []
    assert torch.isfinite(made.fast).all()
