"""Sinkhorn-Knopp: soft assignments of samples to prototypes that use all prototypes equally (SwAV, eq. 3-5)."""

from __future__ import annotations

import torch

from repdiag.core.shapes import Float, Tensor


@torch.no_grad()
def sinkhorn(scores: Float[Tensor, "B K"], *, epsilon: float, iterations: int) -> Float[Tensor, "B K"]:
    """Return assignments whose rows sum to 1 and whose columns sum to B/K as closely as `iterations` rounds allow.

    Worked in logarithms, so that a small `epsilon` does not overflow.
    """
    log_q = scores.double() / epsilon
    for _ in range(iterations):
        log_q = log_q - torch.logsumexp(log_q, dim=0, keepdim=True)
        log_q = log_q - torch.logsumexp(log_q, dim=1, keepdim=True)
    return log_q.exp().to(scores.dtype)
