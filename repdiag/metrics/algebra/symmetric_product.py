"""X^T X of rows that come in blocks: half of the product, since it is symmetric, in float64 or float32."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

_PANELS = 4  # column panels of a symmetric product: 10 of 16 blocks are computed, the rest mirrored


class SecondMoment:
    """The sum of X^T X over blocks of rows, in float64; `like` says on which device."""

    def __init__(self, dims: int, *, like: Tensor) -> None:
        self._total = like.new_zeros((dims, dims), dtype=torch.float64)
        self._syrk = None if like.is_cuda else _syrk()

    def add(self, rows: Tensor) -> None:
        """Add the products of a block of float64 rows [n, D]."""
        if self._syrk is None:
            add_upper(self._total, rows)
            return
        # BLAS's product of a matrix with its own transpose: torch offers none, and a full one takes twice as long. It
        # reads the total with rows and columns exchanged, so that its lower triangle is our upper one.
        fortran = self._total.numpy().T
        self._syrk(1.0, rows.numpy().T, beta=1.0, c=fortran, lower=1, overwrite_c=1)

    def matrix(self) -> Tensor:
        """Return the whole symmetric matrix [D, D]."""
        return mirrored(self._total)


def add_upper(total: Tensor, rows: Tensor) -> None:
    """Add the upper triangle of X^T X to `total`, in panels."""
    dims = len(total)
    edges = [dims * panel // _PANELS for panel in range(_PANELS + 1)]
    for left, right in itertools.pairwise(edges):
        total[left:right, left:].addmm_(rows[:, left:right].T, rows[:, left:])


def mirrored(total: Tensor) -> Tensor:
    """Return the symmetric matrix whose upper triangle is that of `total`."""
    upper = total.triu()
    return upper + upper.triu(1).T


def _syrk() -> Callable[..., object]:
    from scipy.linalg.blas import dsyrk

    return dsyrk
