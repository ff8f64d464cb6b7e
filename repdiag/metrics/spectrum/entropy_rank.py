"""The exponential of the entropy of a spectrum: how many equal values would be as spread out."""

from __future__ import annotations

import torch
from torch import Tensor


def entropy_rank(values: Tensor, *, eps: float = 0.0) -> float:
    """Return exp(-sum p log p) for p = values / sum(values) + eps; zero values add nothing when eps is 0."""
    share = values / values.sum() + eps
    return float(torch.exp(-torch.special.xlogy(share, share).sum()))
