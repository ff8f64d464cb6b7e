"""Two machines of two processes each give what one process gives, and hold their rows once a machine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from repdiag.core.distributed.machine import told_by_first

pytestmark = pytest.mark.timeout(300)
SCRIPT = Path(__file__).with_name("one_of_two_machines.py")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(arguments, *, rank=None, port=None):
    told = {} if rank is None else {"RANK": str(rank), "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"}
    if rank is not None:
        told |= {"LOCAL_RANK": str(rank % 2), "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": str(rank // 2)}
        told |= {"MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | told,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_machines_of_two_processes_give_the_values_of_one(tmp_path):
    generator = np.random.default_rng(0)
    labels = np.arange(600) % 6
    rows = generator.standard_normal((6, 64))[labels] + 1.2 * generator.standard_normal((600, 64))
    file = tmp_path / "rows.npz"
    np.savez(file, features=rows.astype(np.float32), labels=labels)
    port = free_port()
    running = [started([file, tmp_path / "of"], rank=rank, port=port) for rank in range(4)]
    running.append(started([file, tmp_path / "alone"]))
    for process in running:
        _, said = process.communicate(timeout=280)
        assert process.returncode == 0, said[-3000:]
    alone = json.loads((tmp_path / "alone.json").read_text())["values"]
    assert len(alone) > 10
    for rank in range(4):
        found = json.loads((tmp_path / f"of{rank}.json").read_text())
        assert found["mapped"] > 0.9 * rows.nbytes / 2 / 2**20  # float32, in memory that the other process maps too
        for mine, expected in zip(found["values"], alone, strict=True):
            assert mine[:2] == expected[:2]
            assert mine[2:] == pytest.approx(expected[2:], rel=1e-6, abs=1e-9)


def test_a_process_alone_finds_for_itself():
    found = {"rows": 3}
    assert told_by_first(lambda: found) is found
