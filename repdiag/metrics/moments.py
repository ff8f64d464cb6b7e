"""First and second moments in one pass over the rows: class sums, column means, D x D products. All in float64.

Rows are converted to float64 one block at a time, so that a block stays in the cache and no float64 copy of the whole
matrix is ever made. Means of squared distances over pairs follow from these sums in closed form, without any pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.shapes import Features, Float, Labels
from repdiag.metrics.pairwise.sharing import memoised, tensor_key

# Elements of one block: 2 MiB of float64 stay in a CPU's cache; a GPU wants few, large kernels.
_CPU_BLOCK, _GPU_BLOCK = 2**18, 2**24
_PRODUCT_ROWS = 4096  # the inner dimension at which a matrix product is no longer bound by its output
_PANELS = 4  # column panels of a symmetric product: 10 of 16 blocks are computed, the rest mirrored


@dataclass(frozen=True, kw_only=True)
class ClassMoments:
    """Per-class sums of the rows: everything that means of squared distances over pairs need."""

    labels: Tensor  # [C] ascending
    counts: Tensor  # [C]
    sums: Float[Tensor, "C D"]
    squares: Tensor  # [C]

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


def unit_rows(rows: Tensor) -> Tensor:
    """Return the rows divided by their Euclidean norm, in float64; a row of zeros is an error."""
    exact = rows.double()
    return exact / _norms(exact)[..., None]


def _norms(rows: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(rows, dim=-1)
    if not bool((norms > 0).all()):
        raise MetricError(
            "a row of zeros has no direction on the hypersphere",
            found=f"{int((norms == 0).sum())} such rows",
            hint="drop these rows, or look for a dead layer",
        )
    return norms


def class_moments(features: Features, labels: Labels, *, normalize: bool) -> ClassMoments:
    """Return the per-class counts, sums and sums of squared norms, of the unit rows if `normalize`.

    The rows are visited in the order of their labels; within a block the classes are consecutive, and the block's class
    sums are one small matrix product with the (classes in the block) x (rows) indicator.
    """
    key = ("class_moments", normalize, tensor_key(features), tensor_key(labels))
    return memoised(key, lambda: _class_moments(features, labels, normalize), keep=(features, labels))


def _class_moments(features: Tensor, labels: Tensor, normalize: bool) -> ClassMoments:
    order = None
    if not bool((labels[1:] >= labels[:-1]).all()):
        labels, order = torch.sort(labels, stable=True)
    present, index, counts = torch.unique_consecutive(labels, return_inverse=True, return_counts=True)
    sums = features.new_zeros((len(present), features.shape[1]), dtype=torch.float64)
    squares = counts.double() if normalize else torch.zeros_like(counts, dtype=torch.float64)
    step = block_rows(features)
    starts = range(0, len(features), step)
    firsts = index[::step].tolist()
    lasts = index[[min(start + step, len(index)) - 1 for start in starts]].tolist()
    for start, first, last in zip(starts, firsts, lasts, strict=True):
        place = slice(start, start + step)
        rows = (features[place] if order is None else features[order[place]]).double()
        indicator = rows.new_zeros((last - first + 1, len(rows)))
        indicator.scatter_(0, (index[place] - first)[None], 1.0 / _norms(rows)[None] if normalize else 1.0)
        if not normalize:
            squares.index_add_(0, index[place], rows.square().sum(dim=1))
        sums[first : last + 1].addmm_(indicator, rows)
    return ClassMoments(labels=present, counts=counts.double(), sums=sums, squares=squares)


def column_means(features: Features) -> Tensor:
    """Return the mean of every column [D]."""
    total = features.new_zeros(features.shape[1], dtype=torch.float64)
    for _, rows in float64_blocks(features):
        total += rows.sum(dim=0)
    return total / len(features)


def second_moment(features: Features, *, centred: bool) -> Float[Tensor, "D D"]:
    """Return X^T X of the rows, of the rows minus their mean if `centred` (not divided by N)."""
    mean = column_means(features) if centred else None
    dims = features.shape[1]
    total = features.new_zeros((dims, dims), dtype=torch.float64)
    edges = [dims * panel // _PANELS for panel in range(_PANELS + 1)]
    for _, rows in float64_blocks(features, rows=_PRODUCT_ROWS):
        centred_rows = rows if mean is None else rows - mean
        for left, right in itertools.pairwise(edges):
            total[left:right, left:].addmm_(centred_rows[:, left:right].T, centred_rows[:, left:])
    upper = total.triu()
    return upper + upper.triu(1).T


def cross_moment(features: Features, other: Float[Tensor, "N E"]) -> Float[Tensor, "D E"]:
    """Return X^T Y of the centred rows of two encoders (not divided by N)."""
    means = column_means(features), column_means(other)
    total = features.new_zeros((features.shape[1], other.shape[1]), dtype=torch.float64)
    for place, rows in float64_blocks(features, rows=_PRODUCT_ROWS):
        total.addmm_((rows - means[0]).T, other[place].double() - means[1])
    return total
