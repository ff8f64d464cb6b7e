"""Two machines of two processes each give what one process gives, and hold their rows once a machine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import repdiag
from repdiag.core.distributed.machine import machines_of, told_by_first
from repdiag.core.errors import UsageError

pytestmark = pytest.mark.timeout(300)
SCRIPT = Path(__file__).with_name("one_of_two_machines.py")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(arguments, *, rank=None, port=None, machines=((0, 1), (2, 3))):
    told = {}
    if rank is not None:
        place = next(number for number, ranks in enumerate(machines) if rank in ranks)
        ranks = machines[place]
        told = {
            "RANK": str(rank),
            "WORLD_SIZE": str(sum(map(len, machines))),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "LOCAL_RANK": str(ranks.index(rank)),
            "LOCAL_WORLD_SIZE": str(len(ranks)),
            "GROUP_RANK": str(place),
        }
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | told,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_machines_of_two_processes_give_the_values_of_one(tmp_path):
    generator = np.random.default_rng(0)
    labels = np.arange(600) % 6
    rows = generator.standard_normal((6, 64))[labels] + 1.2 * generator.standard_normal((600, 64))
    files = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for number, file in enumerate(files):
        noise = number * generator.standard_normal(rows.shape)
        np.savez(file, features=(rows + noise).astype(np.float32), labels=labels)
    port = free_port()
    running = [started([SCRIPT, *files, tmp_path / "of"], rank=rank, port=port) for rank in range(4)]
    running.append(started([SCRIPT, *files, tmp_path / "alone"]))
    for process in running:
        _, said = process.communicate(timeout=280)
        assert process.returncode == 0, said[-3000:]
    alone = json.loads((tmp_path / "alone.json").read_text())
    assert min(len(alone[what]) for what in ("values", "compared")) > 5
    for rank in range(4):
        found = json.loads((tmp_path / f"of{rank}.json").read_text())
        assert found["mapped"] > 0.9 * rows.nbytes / 2 / 2**20  # float32, in memory that the other process maps too
        assert found["mapped rows"] > 0.9 * found["MiB"]
        assert found["embedded"] == pytest.approx(alone["embedded"], rel=1e-6)
        assert found["tests"] == pytest.approx(alone["tests"], rel=1e-6, abs=1e-12, nan_ok=True)
        for what in ("values", "compared"):
            for mine, expected in zip(found[what], alone[what], strict=True):
                assert mine[:2] == expected[:2]
                assert mine[2:] == pytest.approx(expected[2:], rel=1e-6, abs=1e-9)
    stored = [repdiag.as_embedding_set(tmp_path / f"{name}-rows") for name in ("of", "alone")]
    assert torch.equal(*(one.features for one in stored))


MACHINES = """
import torch, torch.distributed as dist
from repdiag.core.distributed.machine import _of_this_machine, told_by_first
from repdiag.core.distributed.world import join_world
torch.set_num_threads(1)
with join_world(on_gpu=False):
    rows = torch.full((70_000,), float(dist.get_rank()))
    print(_of_this_machine().ranks, float(told_by_first(lambda: rows).mean()))
"""


@pytest.mark.slow
def test_machines_of_unequal_numbers_of_processes_hold_rows_each_for_themselves():
    port = free_port()
    running = [started(["-c", MACHINES], rank=rank, port=port, machines=((0, 1), (2,))) for rank in range(3)]
    found = [process.communicate(timeout=100)[0].strip() for process in running]
    assert found == ["(0, 1) 0.0", "(0, 1) 0.0", "(2,) 2.0"]


@pytest.mark.parametrize("said", [[(0, 2), (0, 1), (1, 2)], [(0, 2), (0, 2), (1, 2)], [(1, 2), (0, 2)], [(0, 2)]])
def test_processes_that_contradict_one_another_about_their_machines_are_refused(said):
    with pytest.raises(UsageError, match=r"which of them share a machine|differs from LOCAL_WORLD_SIZE"):
        machines_of(said)


def test_a_process_alone_finds_for_itself():
    found = {"rows": 3}
    assert told_by_first(lambda: found) is found
