"""InfoNCE: pick the query's own key among other keys (van den Oord et al. 2018; MoCo, eq. 1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from repdiag.core.shapes import Float, Tensor


def contrast_logits(
    queries: Float[Tensor, "B P"], keys: Float[Tensor, "B P"], negatives: Float[Tensor, "K P"], *, temperature: float
) -> Float[Tensor, "B K1"]:
    """Return the similarities over `temperature`; column 0 is the query's own key. Rows must be unit vectors."""
    positive = (queries * keys).sum(dim=1, keepdim=True)
    return torch.cat([positive, queries @ negatives.T], dim=1) / temperature


def info_nce(logits: Float[Tensor, "B K1"]) -> Float[Tensor, ""]:
    """Return the mean over rows of -log softmax(logits)[0], in nats."""
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def contrast_accuracy(logits: Float[Tensor, "B K1"]) -> Float[Tensor, ""]:
    """Return the fraction of rows whose own key beats every negative; a tie, as in a collapsed space, does not."""
    return (logits[:, 0] > logits[:, 1:].amax(dim=1)).float().mean()
