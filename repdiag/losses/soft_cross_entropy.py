"""Cross-entropy between two softmax distributions, one of them the target."""

from __future__ import annotations

import torch.nn.functional as F

from repdiag.core.shapes import Float, Tensor


def soft_cross_entropy(logits: Float[Tensor, "B K"], target: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    """Return the mean over rows of -sum_k target_k log softmax(logits)_k; rows of `target` sum to 1."""
    return -(target * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
