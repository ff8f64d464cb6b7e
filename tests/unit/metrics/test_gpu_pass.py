"""The GPU's way through a pass, its kernels run by Triton's interpreter on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

# In a process of its own: Triton decides at its import whether kernels are interpreted.
SCRIPT = """
import json, torch
from repdiag.metrics.pairwise import tiles
from repdiag.metrics.pairwise.kernels import search as gpu_search

found = {}
draw = torch.Generator().manual_seed(0)
for height, width in [(1, 1), (32, 64), (40, 70)]:
    padded = torch.full((height + 14, width + 4), torch.nan)
    scores = padded[:height, :width].copy_(torch.rand(height, width, generator=draw))
    scores[0, 0] = -torch.inf  # a pair that does not count
    above = [torch.rand(side, generator=draw) * 0.2 + 0.7 for side in (height, width)]
    above[0][-1], above[1][-1] = torch.inf, -torch.inf  # settled; everything is wanted
    for sides in ((0,), (0, 1)):
        search = gpu_search.Search(scores, *(above[side] if side in sides else None for side in (0, 1)))
        for side in sides:
            row, column, score = search.found(side)
            wanted = scores > (above[0][:, None] if side == 0 else above[1][None, :])
            same = [list(pair) for pair in sorted(zip(row.tolist(), column.tolist()))] == wanted.nonzero().tolist()
            found[f"{height} {width} {sides} {side}"] = same and torch.equal(score, scores[row, column])

from repdiag.metrics.pairwise import PositiveRank, PotentialSum, TopK, reduce_cross, reduce_pairs, unit_rows

def results(tile):
    left, views = (unit_rows(torch.randn(70, 8, generator=torch.Generator().manual_seed(seed))) for seed in (1, 2))
    positives = unit_rows(left.fast + 0.3 * views.fast)
    wanted = PotentialSum(2.0), PositiveRank(positives, 5), TopK(3)
    total, ranks, nearest = reduce_pairs(left, *wanted, tile=tile)
    own = torch.arange(70)
    across = reduce_cross(left, views, *wanted[1:], own=own, tile=tile)
    return [total, ranks.ahead, ranks.strictly_ahead, nearest.index, across[0].ahead, across[1].index]

wanted = results(70)
tiles.runs_kernels = lambda tensor: True
for most, tile in ((gpu_search.MOST, 64), (40, 37)):  # at 40 some tiles hold more than can be written down
    gpu_search.MOST = most
    same = [torch.allclose(a, b, rtol=1e-6) if a.is_floating_point() else torch.equal(a, b)
            for a, b in zip(wanted, results(tile), strict=True)]
    found[f"pass, {most}, {tile}"] = all(same)
print(json.dumps(found))
"""


def test_a_search_finds_what_comparing_finds_and_a_pass_what_the_pass_on_a_cpu_finds() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 11
    assert [name for name, same in found.items() if not same] == []
