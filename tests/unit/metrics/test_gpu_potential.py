"""The GPU's kernel of potentials, run by Triton's interpreter on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCRIPT = """
import json, torch
from repdiag.metrics.pairwise.kernels.potential import potential_sums

errors = []
for height, width in [(1, 1), (64, 128), (130, 300)]:
    padded = torch.full((height + 14, width + 4), torch.nan)
    scores = padded[:height, :width]
    scores.copy_(torch.rand(height, width, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0)
    scores[0, 0] = -torch.inf  # a pair that does not count
    scores[-1, -1] = 1.0 + 2.0**-23  # rounded above one
    wanted = ((scores.double() - 1.0) * 5.77).clamp(max=0.0).exp2()
    for axis, found in zip((1, 0), potential_sums(scores, 5.77), strict=True):
        errors.append(float((found / wanted.sum(dim=axis) - 1.0).abs().max()))
print(json.dumps(errors))
"""


def test_the_kernel_adds_up_rows_and_columns(interpreted: Callable[[str], Any]) -> None:
    errors = interpreted(SCRIPT)
    assert len(errors) == 6
    assert max(errors) < 1e-6
