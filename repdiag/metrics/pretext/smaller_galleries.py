"""Retrieval in smaller galleries than the one at hand: its mean over all of them, from the ranks in the large one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_NEGLIGIBLE = 1e-9  # probability of a hit below which a rank need not be known


def chances(rows: int, gallery: int, *, k: int) -> Tensor:
    """Return the probability of a top-k hit for a query with a rows ahead, for a = 0, 1, ...; the last one is 0.

    Of the a rows ahead among the `rows` - 1 others fewer than k are among the `gallery` - 1 that are drawn.
    """
    from scipy.stats import hypergeom

    far = ranks_that_count(rows, gallery, k=k)
    found = hypergeom.cdf(k - 1, rows - 1, torch.arange(far).numpy(), gallery - 1)
    return torch.cat([torch.as_tensor(found, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])


def ranks_that_count(rows: int, gallery: int, *, k: int) -> int:
    """Return the number of rows ahead from which on a hit is out of the question, in a gallery of all rows k."""
    from scipy.stats import hypergeom

    if gallery >= rows:
        return k
    far = min(rows, k + math.ceil(math.log(_NEGLIGIBLE) / math.log1p(-(gallery - 1) / (rows - 1))))
    while far < rows and hypergeom.cdf(k - 1, rows - 1, far, gallery - 1) > _NEGLIGIBLE:
        far = min(rows, 2 * far)
    return far
