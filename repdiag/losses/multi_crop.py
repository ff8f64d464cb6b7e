"""How the terms of a multi-crop loss are weighted."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from repdiag.core.errors import ConfigError
from repdiag.core.shapes import Float, Tensor


def balanced_mean(
    global_terms: Sequence[Tensor], local_terms: Sequence[Tensor], *, balance: tuple[float, float] | None
) -> Float[Tensor, ""]:
    """Return a * mean(global terms) + b * mean(local terms) for `balance` = (a, b).

    None averages all terms alike, so that the many local ones dominate. Without local terms the weights have no
    meaning, and the mean of the global terms is returned.
    """
    if not global_terms:
        raise ConfigError("the loss needs at least two global views", hint="choose another views.preset")
    if not local_terms:
        return torch.stack(list(global_terms)).mean()
    if balance is None:
        return torch.stack([*global_terms, *local_terms]).mean()
    a, b = balance
    return a * torch.stack(list(global_terms)).mean() + b * torch.stack(list(local_terms)).mean()
