"""Sums of Gaussian potentials over pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.processes import add_up
from repdiag.metrics.pairwise.reduction import Reduction
from repdiag.metrics.pairwise.tiles import Pairs, Tile


@dataclass(frozen=True)
class PotentialSum(Reduction[Tensor]):
    """For every row, the sum over its partners of exp(-t ||x - y||^2), in float64 [N]; unit rows only."""

    t: float

    @property
    @override
    def key(self) -> tuple[object, ...]:
        return ("potential", self.t)

    @override
    def start(self, pairing: Pairing) -> _PotentialState:
        left = pairing.left
        return _PotentialState(self.t, torch.zeros(len(left), dtype=torch.float64, device=left.fast.device))


@dataclass(eq=False)
class _PotentialState:
    t: float
    total: Tensor

    def threshold(self, rows: slice) -> None:
        """Want every pair."""

    def add(self, tile: Tile, _above: Pairs | None, /) -> None:
        # A tile's row has some thousand terms at most: its float32 sum is good to 1e-7, the total is float64.
        self.total[tile.rows] += tile.potential_sums(self.t)

    def join(self) -> None:
        add_up(self.total)

    def finish(self) -> Tensor:
        return self.total
