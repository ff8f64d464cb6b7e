"""Files that are changed or made to harm, through the command line: time, memory, output and errors are all counted."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.hostile_files import broken_promises, measured
from tests.unit.checkpoints.attacks import KINDS, attack, size_of

COUNT = 90  # `make soak` and `python -m benchmarks.hostile_files` have many more
SEED = 20_000_000


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peak memory is counted by Linux only")
def test_no_file_hangs_swells_leaks_or_speaks_for_itself(tmp_path: Path) -> None:
    paths = [attack(SEED + number, tmp_path) for number in range(COUNT)]
    assert len({path.name.partition("-")[2] for path in paths}) == len(KINDS)
    found = list(measured(paths))
    assert [row["name"] for row in found] == [path.name for path in paths]
    broken = {row["name"]: broken_promises(row, size_of(path)) for row, path in zip(found, paths, strict=True)}
    assert {name: what for name, what in broken.items() if what} == {}
    ends = Counter(row["code"] for row in found)
    assert ends[1] > COUNT / 2


def test_what_breaks_a_promise_is_found() -> None:
    good = {"code": 1, "seconds": 0.1, "memory": 0, "printed": 10, "text": "error: x", "events": []}
    assert broken_promises(good, 100) == []
    for bad in ({"code": 98}, {"code": "longer than 30 s"}, {"seconds": 6.0}, {"memory": 2**30}, {"printed": 5000},
                {"text": "\x1b[2J"}, {"events": ["os.system"]}):  # fmt: skip
        assert len(broken_promises(good | bad, 100)) == 1
