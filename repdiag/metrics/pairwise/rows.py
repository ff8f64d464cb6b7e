"""Rows made ready for tiles: fast ones to multiply, exact ones to settle what rounding cannot decide."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from repdiag.core.errors import MetricError
from repdiag.metrics.algebra.directions import no_direction
from repdiag.metrics.pairwise.sharing import memoised, tensor_key
from repdiag.metrics.pairwise.working_copy import filled_copy

# Float64 numbers in work at a time: on a CPU they stay in the nearest caches; a GPU wants few, large kernels.
_CPU_BATCH, _GPU_BATCH = 1 << 17, 1 << 25
_SOME = 1024  # rows that tell the spread of all to a factor of two or so

# What torch.get_float32_matmul_precision() may do to float32 rows before it multiplies them: nothing, cut them to TF32,
# cut them to bfloat16. Products of cut numbers are exact in float32: the length of rows does not multiply the error.
_INPUT_ROUNDOFF = {"highest": 0.0, "high": 2.0**-10, "medium": 2.0**-7}
_BFLOAT16_ROUNDOFF = 2.0**-8  # of numbers that are rounded to bfloat16 here, to the nearest


@dataclass(frozen=True, eq=False)
class Rows(ABC):
    """Rows in one geometry. A pair's score is larger the nearer the two rows are.

    `fast` [N, D] feeds the matrix products, in float32 unless the source is float64. `exact` gives float64 rows
    straight from the source; `error` bounds |score of a tile - exact score|, so that near ties can be found and
    settled in float64.
    """

    source: Tensor
    fast: Tensor

    def __len__(self) -> int:
        return int(self.fast.shape[0])

    @property
    def dims(self) -> int:
        """Number of features D."""
        return int(self.fast.shape[1])

    @property
    def halvings(self) -> int:
        """How many times D numbers are halved down to one."""
        return (self.dims - 1).bit_length()

    @property
    def key(self) -> tuple[object, ...]:
        """Identity of the rows and their geometry for as long as the tensors live."""
        return (type(self).__name__, tensor_key(self.fast))

    @property
    def input_roundoff(self) -> float:
        """By what share a matrix product of `fast` may change each number before it multiplies it."""
        if self.fast.dtype == torch.float64:
            return 0.0
        return _BFLOAT16_ROUNDOFF if self.halved else _INPUT_ROUNDOFF[torch.get_float32_matmul_precision()]

    @property
    def halved(self) -> bool:
        """Whether products are of bfloat16 copies: on a GPU, which never cuts float32 rows that far by itself."""
        return (
            self.fast.is_cuda and self.fast.dtype == torch.float32 and torch.get_float32_matmul_precision() == "medium"
        )

    @cached_property
    def _half(self) -> Tensor:
        return self.fast.to(torch.bfloat16)

    def _product(self, rows: slice | Tensor, other: Rows, columns: slice, *, out: Tensor) -> None:
        """Write the inner products of rows[rows] and other[columns] into `out`, added up in the type of `out`."""
        if self.halved and other.halved:
            torch.mm(self._half[rows], other._half[columns].T, out_dtype=out.dtype, out=out)
        else:
            torch.mm(self.fast[rows], other.fast[columns].T, out=out)

    @property
    def roundoff(self) -> float:
        """Unit roundoff of the sums in a matrix product of `fast`; units that cut their inputs also cut their sums."""
        if self.fast.dtype == torch.float64:
            return 2.0**-53
        return 2.0**-23 if self.input_roundoff else 2.0**-24

    @abstractmethod
    def exact(self, index: Tensor) -> Tensor:
        """Return the float64 rows at `index`, in this geometry."""

    @abstractmethod
    def tile(self, rows: slice | Tensor, other: Rows, columns: slice, *, out: Tensor) -> None:
        """Write the scores of rows[rows] against other[columns] into `out`."""

    @abstractmethod
    def terms(self, left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return, for rows taken in pairs, the terms [P, D] that add up to their scores; `out` may be `left`."""

    def score(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the float64 scores of exact rows taken in pairs; equal rows give equal bits."""
        return self.terms(left, right).sum(dim=1)

    @abstractmethod
    def score_matrix(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the float64 scores of all pairs of exact rows."""

    @abstractmethod
    def error(self, rows: slice, other: Rows, *, exact: bool = False) -> Tensor:
        """Return, for each of the rows, a bound on the error of its tile scores; of `score_matrix` if `exact`."""

    @abstractmethod
    def rounding(self, rows: slice, other: Rows) -> Tensor:
        """Return, for each of the rows, a bound on what `rounded_scores` differ from the exact ones."""

    def exact_scores(self, index: Tensor, other: Rows, other_index: Tensor) -> Tensor:
        """Return the float64 scores of the pairs (index[p], other_index[p]), a bounded number at a time."""
        result = self.fast.new_empty(len(index), dtype=torch.float64)
        # Written in place: kept apart, the small results of all parts would lie between the freed buffers and pin them.
        for part in _chunks(len(index), like=self.fast):
            result[part] = self.score(self.exact(index[part]), other.exact(other_index[part]))
        return result

    def rounded_scores(self, index: Tensor, other: Rows, other_index: Tensor) -> Tensor:
        """Return the scores of `fast` rows taken in pairs: cheaper, and wrong by `rounding` at most."""
        result = torch.empty(len(index), dtype=torch.float64, device=self.fast.device)
        order = _as_they_lie(other_index, len(other))
        ours, theirs = index.index_select(0, order), other_index.index_select(0, order)
        # Buffers of its own: allocating anew for every part costs as much again as the arithmetic.
        step = min(len(index), 4 * _batch_rows(self.fast))
        left, right = (self.fast.new_empty(step, self.dims) for _ in range(2))
        for start in range(0, len(index), max(1, step)):
            rows, partners = ours[start : start + step], theirs[start : start + step]
            first = torch.index_select(self.fast, 0, rows, out=left[: len(rows)])
            second = torch.index_select(other.fast, 0, partners, out=right[: len(rows)])
            result[start : start + step] = _sum_by_halves(self.terms(first, second, out=first))
        return torch.empty_like(result).index_copy_(0, order, result)


def _as_they_lie(index: Tensor, rows: int) -> Tensor:
    """Return an order in which the rows at `index` are read about as they lie in memory: half the cost of any other."""
    if index.device.type != "cpu":
        return torch.arange(len(index), device=index.device)
    near = index.numpy() >> max(0, (rows - 1).bit_length() - 16)
    return torch.from_numpy(near.astype(np.uint16).argsort(kind="stable"))  # 16 bits are sorted by their digits


def _sum_by_halves(terms: Tensor) -> Tensor:
    """Add up each row [P, D] in place: log2 D roundings, where a library's order of summation promises only D."""
    width = terms.shape[1]
    while width > 1:
        half = width // 2
        terms[:, :half] += terms[:, width - half : width]
        width -= half
    return terms[:, 0]


class UnitRows(Rows):
    """Rows on the unit sphere; the score is the cosine similarity."""

    @override
    def exact(self, index: Tensor) -> Tensor:
        return _unit(self.source.index_select(0, index).double(), self.source)

    @override
    def tile(self, rows: slice | Tensor, other: Rows, columns: slice, *, out: Tensor) -> None:
        self._product(rows, other, columns, out=out)

    @override
    def terms(self, left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
        return torch.mul(left, right, out=out)

    @override
    def score_matrix(self, left: Tensor, right: Tensor) -> Tensor:
        return left @ right.T

    @override
    def error(self, rows: slice, other: Rows, *, exact: bool = False) -> Tensor:
        # Rounding two unit rows: 2u. A product of D terms: D u, in any order of summation.
        roundoff = 2.0**-53 if exact else max(self.roundoff, other.roundoff)
        return self._everywhere(rows, (self.dims + 3) * roundoff + (0.0 if exact else 2.01 * self.input_roundoff))

    @override
    def rounding(self, rows: slice, other: Rows) -> Tensor:
        # Rounding two unit rows: 2u. Rounding the products: u. Adding them up by halves: log2 D u.
        bound = (4 + self.halvings) * max(_unit_roundoff(self), _unit_roundoff(other)) + self.dims * 2.0**-53
        return self._everywhere(rows, bound)

    def _everywhere(self, rows: slice, bound: float) -> Tensor:
        return torch.full((rows.stop - rows.start,), bound, dtype=torch.float64, device=self.fast.device)


@dataclass(frozen=True, eq=False)
class RawRows(Rows):
    """Rows as they are; the score is minus the squared Euclidean distance.

    They are shifted by `center`, about their mean, which changes no distance and keeps 2xy - x^2 - y^2 from losing
    digits.
    """

    center: Tensor
    squares: Tensor

    @override
    def exact(self, index: Tensor) -> Tensor:
        return self.source.index_select(0, index).double() - self.center

    @override
    def tile(self, rows: slice | Tensor, other: Rows, columns: slice, *, out: Tensor) -> None:
        assert isinstance(other, RawRows)
        self._product(rows, other, columns, out=out)
        torch.add(-self.squares[rows, None].to(out.dtype), out, alpha=2.0, out=out)
        out.sub_(other.squares[columns].to(out.dtype)).clamp_(max=0.0)

    @override
    def terms(self, left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
        return torch.sub(left, right, out=out).square_().neg_()

    @override
    def score_matrix(self, left: Tensor, right: Tensor) -> Tensor:
        squares = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1)
        return (2.0 * (left @ right.T) - squares).clamp_(max=0.0)

    @override
    def error(self, rows: slice, other: Rows, *, exact: bool = False) -> Tensor:
        # |x||y| <= (x^2 + y^2) / 2 bounds the doubled product; 8 covers rounding of rows, squares and sums.
        bound = (self.dims + 8) * (2.0**-53 if exact else self.roundoff) + (
            0.0 if exact else 2.01 * self.input_roundoff
        )
        return bound * self._reach(rows, other)

    @override
    def rounding(self, rows: slice, other: Rows) -> Tensor:
        # |x - y| changes by u (|x| + |y|) at most, its square by 2 u (|x| + |y|)^2 <= 4 u (x^2 + y^2); differences,
        # squares and sums by halves are rounded by (3 + log2 D) u of a square of at most 2 (x^2 + y^2).
        bound = (11 + 2 * self.halvings) * _unit_roundoff(self) + self.dims * 2.0**-53
        return bound * self._reach(rows, other)

    def _reach(self, rows: slice, other: Rows) -> Tensor:
        assert isinstance(other, RawRows)
        return self.squares[rows] + other.squares.max()


def unit_rows(features: Tensor) -> Rows:
    """Return the rows scaled to unit length; a row without direction (all zeros) is an error."""

    def build() -> Rows:
        def fill(fast: Tensor) -> None:
            for chunk in _chunks(len(features), like=features):
                fast[chunk] = _unit(features[chunk].double(), features)

        return UnitRows(source=features, fast=filled_copy(features, _working_dtype(features), fill))

    return memoised(("unit", tensor_key(features)), build, keep=features)


def raw_rows(features: Tensor, *, like: Rows | None = None) -> Rows:
    """Return the rows for Euclidean distances: shifted by about their mean, or as the rows `like` that they will meet.

    The shift is rounded to a power of two well below the spread of the rows: differences of quantised rows then stay
    exact, and equal distances equal, where the digits of a mean would break the tie.
    """
    if like is not None and not isinstance(like, RawRows):
        raise MetricError("Euclidean rows meet Euclidean rows only", found=type(like).__name__)
    if like is not None and like.dims != features.shape[1]:
        raise MetricError("two sets of rows differ in dimension", found=f"{features.shape[1]} and {like.dims}")
    key = ("raw", tensor_key(features), None if like is None else like.key)
    return memoised(
        key, lambda: _raw(features, _center(features) if like is None else like.center), keep=(features, like)
    )


def _raw(features: Tensor, center: Tensor) -> Rows:
    squares = torch.empty(len(features), dtype=torch.float64, device=features.device)

    def fill(fast: Tensor) -> None:
        for chunk in _chunks(len(features), like=features):
            fast[chunk] = features[chunk].double() - center

    fast = filled_copy(features, _working_dtype(features), fill)
    for chunk in _chunks(len(features), like=features):
        squares[chunk] = (features[chunk].double() - center).square().sum(dim=1)
    if not bool(torch.isfinite(squares.max().to(fast.dtype))):
        raise MetricError("squared distances overflow", found=f"rows as far as {float(squares.max()) ** 0.5:.3g}")
    return RawRows(source=features, fast=fast, center=center, squares=squares)


def _batch_rows(like: Tensor) -> int:
    return max(1, (_GPU_BATCH if like.is_cuda else _CPU_BATCH) // like.shape[1])


def _chunks(rows: int, *, like: Tensor) -> Iterator[slice]:
    step = _batch_rows(like)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _unit_roundoff(rows: Rows) -> float:
    return float(torch.finfo(rows.fast.dtype).eps) / 2


def _center(features: Tensor) -> Tensor:
    mean = _mean(features)
    some = features[:: max(1, len(features) // _SOME)].double() - mean
    spread = float(some.square().mean().sqrt())
    if not spread > 0.0:
        return mean
    step = 2.0 ** (math.floor(math.log2(spread)) - 4)
    return torch.round(mean / step) * step


def _mean(features: Tensor) -> Tensor:
    total = features.new_zeros(features.shape[1], dtype=torch.float64)
    for chunk in _chunks(len(features), like=features):
        total += features[chunk].double().sum(dim=0)
    return total / len(features)


def _working_dtype(features: Tensor) -> torch.dtype:
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _unit(rows: Tensor, source: Tensor) -> Tensor:
    """Normalise float64 rows; an error speaks of all the rows of their `source`."""
    lengths = _lengths(rows)
    extreme = ~((lengths > 1e-140) & (lengths < 1e140))
    if bool(extreme.any()):  # their squares over- or underflow; a power of two scales them without rounding
        _, exponent = torch.frexp(rows.abs().amax(dim=1, keepdim=True))
        rows = torch.where(extreme, torch.ldexp(rows, -exponent), rows)
        lengths = _lengths(rows)
        if bool((lengths == 0).any()):
            raise no_direction(source)
    return rows / lengths


def _lengths(rows: Tensor) -> Tensor:
    return rows.square().sum(dim=1, keepdim=True).sqrt_()
