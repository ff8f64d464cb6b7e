"""First and second moments in one pass over the rows: class sums, column means, D x D products. All in float64.

Rows are converted to float64 one block at a time, so that a block stays in the cache and no float64 copy of the whole
matrix is ever made. Means of squared distances over pairs follow from these sums in closed form, without any pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.shapes import Features, Float, Labels
from repdiag.metrics.algebra.blas_threads import blas_threads
from repdiag.metrics.algebra.directions import no_direction
from repdiag.metrics.algebra.single_precision import centred_products, single_precision_suffices, unit_class_sums
from repdiag.metrics.algebra.symmetric_product import SecondMoment
from repdiag.metrics.pairwise.sharing import memoised, tensor_key

# Elements of one block: 2 MiB of float64 stay in a CPU's cache; a GPU wants few, large kernels.
_CPU_BLOCK, _GPU_BLOCK = 2**18, 2**24
_SAME = 8 * torch.finfo(torch.float64).eps  # of the largest number of a row: rows no further apart are one point
_PRODUCT_ROWS = 1024  # the inner dimension at which a matrix product is no longer bound by its output


@dataclass(frozen=True, kw_only=True)
class ClassMoments:
    """Per-class sums of the rows: everything that means of squared distances over pairs need."""

    labels: Tensor  # [C] ascending
    counts: Tensor  # [C]
    sums: Float[Tensor, "C D"]
    squares: Tensor  # [C]
    origin: Tensor | None = None  # [D] what was taken off every row first, None: nothing

    @property
    def means(self) -> Tensor:
        """Class means [C, D]."""
        return self.sums / self.counts[:, None]

    @property
    def variances(self) -> Tensor:
        """Mean squared distance of each class's rows from their mean [C], ddof 0."""
        spread = self.squares / self.counts - self.means.square().sum(dim=1)
        return spread.clamp_min(0.0)  # rounding may leave -1e-16 where all rows of a class are equal

    def keep(self, chosen: Tensor) -> ClassMoments:
        """Return the moments of the classes where `chosen` [C] is true."""
        return ClassMoments(
            labels=self.labels[chosen],
            counts=self.counts[chosen],
            sums=self.sums[chosen],
            squares=self.squares[chosen],
            origin=self.origin,
        )


def block_rows(features: Tensor) -> int:
    """Return how many rows of `features` make one float64 block."""
    elements = _GPU_BLOCK if features.is_cuda else _CPU_BLOCK
    return max(64, elements // max(1, features.shape[1]))


def float64_blocks(features: Tensor, *, rows: int | None = None) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, these rows in float64) over the whole matrix; the blocks may be views: never write into them."""
    step = rows or block_rows(features)
    for start in range(0, len(features), step):
        place = slice(start, min(start + step, len(features)))
        yield place, features[place].double()


def float64_unit_rows(rows: Tensor) -> Tensor:
    """Return the rows divided by their Euclidean norm, in float64; a row of zeros is an error."""
    exact = rows.double()
    return exact / _norms(exact, of=rows)[:, None]


def unit_blocks(features: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, these rows divided by their norm, in float64) over the whole matrix; a row of zeros is an error."""
    for place, rows in float64_blocks(features):
        yield place, rows / _norms(rows, of=features)[:, None]


def _norms(rows: Tensor, *, of: Tensor) -> Tensor:
    """Return the norms of some rows; the error for one that is zero speaks of all the rows they are `of`."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=-1)
    if not bool((norms > 0).all()):
        raise no_direction(of)
    return norms


def class_moments(features: Features, labels: Labels, *, normalize: bool) -> ClassMoments:
    """Return the per-class counts, sums and sums of squared norms, of the unit rows if `normalize`.

    Every row is read once, in the order in which the rows lie. Raw rows are taken from an origin among them: squares
    about a far one, less those of the mean, would keep no digit of a spread.
    """
    key = ("class_moments", normalize, tensor_key(features), tensor_key(labels))
    return memoised(key, lambda: _class_moments(features, labels, normalize), keep=(features, labels))


def _class_moments(features: Tensor, labels: Tensor, normalize: bool) -> ClassMoments:
    present, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    if normalize and single_precision_suffices(features):
        fast = unit_class_sums(features, index, counts)
        if fast is not None:
            return ClassMoments(labels=present, counts=counts.double(), sums=fast, squares=counts.double())
    sums = features.new_zeros((len(present), features.shape[1]), dtype=torch.float64)
    squares = counts.double() if normalize else torch.zeros_like(counts, dtype=torch.float64)
    origin = None if normalize else features[:_PRODUCT_ROWS].double().mean(dim=0)
    for place, rows in _blocks(features, origin, rows=block_rows(features)):
        if normalize:
            rows.div_(_norms(rows, of=features)[:, None])
        else:
            squares.index_add_(0, index[place], rows.square().sum(dim=1))
        sums.index_add_(0, index[place], rows)
    return ClassMoments(labels=present, counts=counts.double(), sums=sums, squares=squares, origin=origin)


def in_one_point(rows: Tensor) -> bool:
    """Say whether all rows are the same up to the rounding of float64: then their spread about a mean is rounding too.

    The mean of equal rows is seldom exactly that row, so that no sum of squares about it tells them from a cloud.
    """
    first = rows[0].double()
    reach = _SAME * float(first.abs().max())
    return all(float((block - first).abs().max()) <= reach for _, block in float64_blocks(rows))


def column_means(features: Features) -> Tensor:
    """Return the mean of every column [D]."""
    total = features.new_zeros(features.shape[1], dtype=torch.float64)
    for _, rows in float64_blocks(features):
        total += rows.sum(dim=0)
    return total / len(features)


def second_moment(features: Features, *, centred: bool) -> Float[Tensor, "D D"]:
    """Return X^T X of the rows, of the rows minus their mean if `centred` (not divided by N)."""
    mean = column_means(features) if centred else None
    total = SecondMoment(features.shape[1], like=features)
    with blas_threads(torch.get_num_threads()):
        for _, rows in _blocks(features, mean, rows=_PRODUCT_ROWS):
            total.add(rows)
    return total.matrix()


def cross_moment(features: Features, other: Float[Tensor, "N E"]) -> Float[Tensor, "D E"]:
    """Return X^T Y of the centred rows of two encoders (not divided by N)."""
    total = features.new_zeros((features.shape[1], other.shape[1]), dtype=torch.float64)
    for left, right in _block_pairs(features, other):
        total.addmm_(left.T, right)
    return total


@dataclass(frozen=True, kw_only=True)
class JointMoments:
    """Second moments of the centred rows of two encoders, and of their squared norms (none divided by N)."""

    own: Float[Tensor, "D D"]
    other: Float[Tensor, "E E"]
    cross: Float[Tensor, "D E"]
    squares: Tensor  # [N]
    other_squares: Tensor  # [N]


def joint_moments(features: Features, other: Float[Tensor, "N E"]) -> JointMoments:
    """Return all second moments of two encoders on the same rows; each row is converted and centred once.

    Many float32 rows on a CPU are multiplied in float32 and added up in float64 every few thousand rows: their sum of
    squares then differs from the float64 one by about 1e-8 of itself, since roundings of many rows cancel. Rows are
    centred before they are multiplied, so that a large mean costs no digits.
    """
    if single_precision_suffices(features) and single_precision_suffices(other):
        means = column_means(features), column_means(other)
        (own, others, cross), (squares, other_squares) = centred_products(features, other, means)
        return JointMoments(own=own, other=others, cross=cross, squares=squares, other_squares=other_squares)
    sums = tuple(SecondMoment(rows.shape[1], like=rows) for rows in (features, other))
    cross = features.new_zeros((features.shape[1], other.shape[1]), dtype=torch.float64)
    norms: tuple[list[Tensor], list[Tensor]] = ([], [])
    with blas_threads(torch.get_num_threads()):
        for pair in _block_pairs(features, other):
            for rows, moment, found in zip(pair, sums, norms, strict=True):
                found.append(rows.square().sum(dim=1))
                moment.add(rows)
            cross.addmm_(pair[0].T, pair[1])
    return JointMoments(
        own=sums[0].matrix(),
        other=sums[1].matrix(),
        cross=cross,
        squares=torch.cat(norms[0]),
        other_squares=torch.cat(norms[1]),
    )


def _blocks(features: Tensor, mean: Tensor | None, *, rows: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield (place, rows minus `mean` in float64) in one buffer, which the next step overwrites."""
    buffer = features.new_empty((min(rows, len(features)), features.shape[1]), dtype=torch.float64)
    for start in range(0, len(features), rows):
        place = slice(start, min(start + rows, len(features)))
        block = buffer[: place.stop - start].copy_(features[place])
        yield place, block if mean is None else block.sub_(mean)


def _block_pairs(features: Tensor, other: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    left = _blocks(features, column_means(features), rows=_PRODUCT_ROWS)
    right = _blocks(other, column_means(other), rows=_PRODUCT_ROWS)
    for (_, first), (_, second) in zip(left, right, strict=True):
        yield first, second
