"""Whole rows of scores in float64, for the few rows that tiles cannot decide."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.tiles import leave_out_own

_PANEL = 1 << 24  # scores held at a time
_COLUMNS = 8192


def exact_panels(pairing: Pairing, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (some of the rows `index`, their float64 scores against every partner); what does not count is -inf."""
    left, right = pairing.left, pairing.right
    height = max(1, _PANEL // len(right))
    for part in torch.split(index, height) if len(index) else ():
        scores = torch.empty(len(part), len(right), dtype=torch.float64, device=index.device)
        rows = left.exact(part)
        for columns in torch.split(torch.arange(len(right), device=index.device), _COLUMNS):
            scores[:, columns[0] : columns[-1] + 1] = left.score_matrix(rows, right.exact(columns))
        if pairing.own is not None:
            leave_out_own(scores, pairing.own[part])
        yield part, scores


def exact_error(pairing: Pairing, index: Tensor) -> Tensor:
    """Return the error bound of the scores that `exact_panels` gives for these rows."""
    return pairing.left.error(slice(0, len(pairing.left)), pairing.right, exact=True)[index]
