"""Sums over many float32 rows on a CPU, taken in float32 over a few rows and in float64 over all of them.

Roundings of many rows cancel, so that these sums differ from those in float64 throughout by some 1e-8 of themselves, at
a third of the time. Where that is not certain, the functions return None or the caller does not ask.
"""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.metrics.algebra.symmetric_product import add_upper, mirrored

_MANY_ROWS = 4096  # from here on the roundings of float32 products cancel among the rows
_BLOCK = 1024  # the inner dimension at which a matrix product is no longer bound by its output
_BLOCKS_TOGETHER = 4  # blocks whose products are added up in float32
_BAG = 64  # rows whose sum is taken in float32
_SAFE_NORMS = (
    1e-15,
    1e15,
)  # whose squares, and those of single numbers in rows of that length, neither over- nor underflow
_TIGHT = 0.02  # 1 - |mean|^2 below which a class sum must be better than float32 sums are


def single_precision_suffices(features: Tensor) -> bool:
    """Say whether float32 products of these rows lose nothing that counts, and gain time."""
    exact = torch.get_float32_matmul_precision() == "highest"
    return exact and not features.is_cuda and features.dtype == torch.float32 and len(features) >= _MANY_ROWS


def unit_class_sums(features: Tensor, index: Tensor, counts: Tensor) -> Tensor | None:
    """Return the sums [C, D] of the unit rows of each class, in float64, or None where float32 might not do.

    `index` [N] numbers each row's class, `counts` [C] its rows. The rows are read twice: for their norms and, class by
    class, for weighted sums. None if a norm is extreme, or if the rows of a class, or of all, point the same way so
    much that distances inside would be small differences of these sums.
    """
    norms: Tensor = torch.linalg.vector_norm(features, dim=1)
    low, high = norms.aminmax()
    if not _SAFE_NORMS[0] < float(low) <= float(high) < _SAFE_NORMS[1]:
        return None
    order = index.argsort(stable=True)
    bags, bag_class = _bags(counts)
    parts = torch.nn.functional.embedding_bag(
        order, features, bags, mode="sum", per_sample_weights=norms.reciprocal_()[order]
    )
    sums = features.new_zeros((len(counts), features.shape[1]), dtype=torch.float64)
    sums.index_add_(0, bag_class, parts.double())
    within = 1.0 - (sums / counts[:, None]).square().sum(dim=1)
    several = counts > 1
    tightest = float(within[several].min()) if bool(several.any()) else 1.0
    everywhere = 1.0 - float((sums.sum(dim=0) / len(features)).square().sum())
    return sums if min(tightest, everywhere) > _TIGHT else None


def _bags(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Cut every class, in the order of the classes, into bags of some rows: where each begins, and whose it is."""
    number = (counts + (_BAG - 1)) // _BAG
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), number)
    place = torch.arange(len(owner), device=counts.device) - (number.cumsum(0) - number)[owner]
    return (counts.cumsum(0) - counts)[owner] + place * _BAG, owner


def centred_products(
    features: Tensor, other: Tensor, means: tuple[Tensor, Tensor]
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return X^T X, Y^T Y, X^T Y and the squared norms of the rows of two encoders, minus their float64 `means`.

    The means are taken off in two parts, rounded and remainder, since means may be large beside what varies.
    """
    widths = features.shape[1], other.shape[1]
    shapes = ((widths[0], widths[0]), (widths[1], widths[1]), widths)
    totals = [features.new_zeros(shape, dtype=torch.float64) for shape in shapes]
    parts = [features.new_zeros(shape) for shape in shapes]
    shifts = [(mean.float(), (mean - mean.float()).float()) for mean in means]
    squares = [torch.empty(len(features), dtype=torch.float64) for _ in widths]
    buffers = [features.new_empty(_BLOCK, width) for width in widths]
    for number, start in enumerate(range(0, len(features), _BLOCK)):
        place = slice(start, min(start + _BLOCK, len(features)))
        blocks = []
        for rows, shift, buffer, norms in zip((features, other), shifts, buffers, squares, strict=True):
            blocks.append(torch.sub(rows[place], shift[0], out=buffer[: place.stop - start]).sub_(shift[1]))
            norms[place] = torch.linalg.vector_norm(blocks[-1], dim=1).double().square_()
        add_upper(parts[0], blocks[0])
        add_upper(parts[1], blocks[1])
        parts[2].addmm_(blocks[0].T, blocks[1])
        if number % _BLOCKS_TOGETHER == _BLOCKS_TOGETHER - 1 or place.stop == len(features):
            for total, part in zip(totals, parts, strict=True):
                total.add_(part)
                part.zero_()
    return (mirrored(totals[0]), mirrored(totals[1]), totals[2]), (squares[0], squares[1])
