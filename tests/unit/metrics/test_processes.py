"""Passes shared by several processes: two and three of them, over gloo, against one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.metrics.evaluate import evaluate

METRICS = ["uniformity", "instance_discrimination_accuracy", "hubness", "r_precision", "two_nn_dimension", "best_nn"]


def rows(seed: int) -> EmbeddingSet:
    """Rows with exact copies among them, so that ties cross the borders between the processes' tiles."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(700, 6, generator=generator)
    features[350:420] = features[:70]
    views = features + 0.3 * torch.randn(2, 700, 6, generator=generator)
    return EmbeddingSet(features=features, views=views, labels=torch.arange(700) % 7)


def values(*, distributed: bool) -> list[float | None]:
    """Many tiles for every process, and a set of one tile, of which most processes get nothing."""
    found: list[float | None] = []
    for count in (700, 60):
        own, bank = (rows(seed).select(range(700 - count, 700)) for seed in (0, 1))
        table = evaluate(
            own, METRICS, bank=bank, intervals=False, memory_budget=16 * 128 * 128, distributed=distributed
        )
        found += [row.value for row in table]
    return found


@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_give_the_values_of_one(count: int, tmp_path: Path) -> None:
    here = Path(__file__)
    code = (
        "import sys, torch, torch.distributed as dist; sys.path.insert(0, sys.argv[1]);"
        "import test_processes as t; torch.set_num_threads(1);"
        "dist.init_process_group('gloo', init_method=f'file://{sys.argv[2]}/meet', rank=int(sys.argv[3]),"
        "world_size=int(sys.argv[4])); torch.save(t.values(distributed=True), f'{sys.argv[2]}/{sys.argv[3]}.pt');"
        "dist.barrier(); dist.destroy_process_group()"
    )
    words = [sys.executable, "-c", code, str(here.parent), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    running = [subprocess.Popen([*words, str(rank), str(count)], env=environment) for rank in range(count)]
    assert [process.wait(timeout=240) for process in running] == [0] * count
    expected = values(distributed=False)
    assert None not in expected
    for rank in range(count):
        assert torch.load(tmp_path / f"{rank}.pt", weights_only=True) == pytest.approx(expected, rel=1e-6)


def test_without_a_group_it_is_said_what_to_do() -> None:
    with pytest.raises(MetricError, match="torchrun"):
        values(distributed=True)
