"""Which pairs a pass looks at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise.rows import Rows
from repdiag.metrics.pairwise.sharing import tensor_key


@dataclass(frozen=True, eq=False)
class Pairing:
    """Every row of `left` with every row of `right`, without the pair (i, own[i]).

    All pairs of one set are the symmetric pairing: `right` is `left`, and each row's own pair is left out. `own`
    [N] names columns by index, never by distance; -1 leaves out nothing.
    """

    left: Rows
    right: Rows
    own: Tensor | None

    def __post_init__(self) -> None:
        if self.left.dims != self.right.dims:
            raise MetricError("two sets of rows differ in dimension", found=f"{self.left.dims} and {self.right.dims}")

    @classmethod
    def within(cls, rows: Rows) -> Pairing:
        """Pair the rows of one set with one another."""
        return cls(rows, rows, torch.arange(len(rows), device=rows.fast.device))

    @property
    def symmetric(self) -> bool:
        """Whether each tile serves for its mirror image as well."""
        return self.left is self.right

    @property
    def partners(self) -> int:
        """The least number of partners of a row."""
        return len(self.right) - (0 if self.own is None else 1)

    @property
    def key(self) -> tuple[object, ...]:
        """Identity of the pairing for as long as its tensors live."""
        own = None if self.own is None or self.symmetric else tensor_key(self.own)
        return (self.left.key, self.right.key, own)
