"""NT-Xent: each view must find its partner among all other views of the batch (Chen et al. 2020, eq. 1)."""

from __future__ import annotations

import torch

from repdiag.core.shapes import Float, Tensor


def nt_xent_logits(
    first: Float[Tensor, "B P"], second: Float[Tensor, "B P"], *, temperature: float
) -> Float[Tensor, "R C"]:
    """Return [2B, 2B - 1] logits: column 0 holds the partner, the others every other view of the batch.

    Rows must be unit vectors. `info_nce` of these logits is the loss.
    """
    views = torch.cat([first, second])
    count = len(first)
    similarity = views @ views.T / temperature
    rows = torch.arange(2 * count, device=views.device)
    partner = (rows + count) % (2 * count)
    # All columns but these two, counted rather than masked: a GPU would have to say how many a mask leaves.
    nearer, farther = torch.minimum(rows, partner)[:, None], torch.maximum(rows, partner)[:, None]
    others = torch.arange(2 * count - 2, device=views.device).expand(2 * count, -1)
    others = others + (others >= nearer)
    others = others + (others >= farther)
    negatives = similarity.gather(1, others)
    return torch.cat([similarity[rows, partner].unsqueeze(1), negatives], dim=1)
