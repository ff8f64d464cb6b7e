"""The part of the train set on which a protocol chooses what it has to choose; the test set has no part in it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def held_out_rows(truth: Tensor, share: float, *, seed: int) -> Tensor:
    """Return a mask [N] with `share` of each class, drawn from the seed; at least one row of a class that has two."""
    order = np.random.default_rng(seed).permutation(len(truth))
    labels = truth.cpu().numpy()
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        if len(mine) > 1:
            chosen[mine[: min(len(mine) - 1, max(1, round(len(mine) * share)))]] = True
    return torch.from_numpy(chosen).to(truth.device)
