"""Singular values and covariance eigenvalues, accurate to the last that counts.

The eigenvalues of the float64 Gram matrix cost one product and give the singular values above about 1e-8 of the
largest; below, rounding replaces them. So they are used only where all of them lie well above: otherwise the matrix
itself is decomposed. A float32 Gram matrix is never used: it turns every value below 3e-4 of the largest into noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.shapes import Features
from repdiag.metrics.algebra.moments import column_means, float64_blocks, in_one_point, second_moment
from repdiag.metrics.pairwise.sharing import memoised, tensor_key

# Smallest eigenvalue over the largest down to which the Gram matrix is trusted: rounding (about 1e-15 of the largest)
# then moves the smallest singular value by 5e-6 of itself, which is 5e-12 of the largest.
_TRUSTED = 1e-10
_BLOCK = 1024  # rows that are decomposed together with what went before


def singular_values(features: Features, *, centred: bool = False) -> Tensor:
    """Return the min(N, D) singular values of the rows (of the rows minus their mean if `centred`), largest first."""
    return memoised(
        ("singular_values", centred, tensor_key(features)),
        lambda: _singular_values(features, centred),
        keep=features,
    )


def covariance_eigenvalues(features: Features) -> Tensor:
    """Return the eigenvalues of the covariance (ddof 1), largest first; min(N, D) of them."""
    return singular_values(features, centred=True).square() / max(1, len(features) - 1)


def _singular_values(features: Tensor, centred: bool) -> Tensor:
    rows, dims = features.shape
    values = features.new_zeros(min(rows, dims), dtype=torch.float64)
    if centred and in_one_point(features):
        return values
    if rows >= dims:
        gram = second_moment(features, centred=centred)
        used = gram.diagonal() > 0
        found = _from_gram(gram[used][:, used])
        if found is None:
            found = torch.linalg.svdvals(_triangle(features, used, centred=centred))
    else:
        exact = _exact(features, centred)
        # Centring takes one dimension of the rows away, so their Gram matrix always has an eigenvalue that is rounding.
        found = None if centred else _from_gram(exact @ exact.T)
        if found is None:
            found = torch.linalg.svdvals(exact)
    values[: len(found)] = found
    return values


def _from_gram(gram: Tensor) -> Tensor | None:
    """Return the square roots of the eigenvalues, or None where the smallest are rounding."""
    if len(gram) == 0:
        return gram.new_zeros(0)
    eigenvalues: Tensor = torch.linalg.eigvalsh(gram).flip(0)
    if float(eigenvalues[-1]) < _TRUSTED * float(eigenvalues[0]):
        return None
    return eigenvalues.sqrt()


def _triangle(features: Tensor, used: Tensor, *, centred: bool) -> Tensor:
    """Return the triangle R of a QR decomposition of the rows, which has their singular values, block by block.

    No float64 copy of more than one block is made, and nothing is squared: small values keep their digits.
    """
    mean = column_means(features)[used] if centred else None
    triangle = features.new_zeros((0, int(used.sum())), dtype=torch.float64)
    for _, block in float64_blocks(features, rows=max(_BLOCK, 4 * features.shape[1])):
        rows = block[:, used] if mean is None else block[:, used] - mean
        triangle = torch.linalg.qr(torch.cat([triangle, rows]), mode="r").R
    return triangle


def _exact(features: Tensor, centred: bool) -> Tensor:
    return features.double() - column_means(features) if centred else features.double()
