"""Class means about their centre, as the neural-collapse measures take them."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from repdiag.metrics.algebra.moments import ClassMoments

Center = Literal["classes", "rows"]


def centred_means(moments: ClassMoments, center: Center) -> Tensor:
    """Return the class means [C, D] minus the mean of the class means ("classes") or the mean of all rows ("rows")."""
    means = moments.means
    if center == "classes":
        return means - means.mean(dim=0)
    return means - moments.sums.sum(dim=0) / moments.counts.sum()
