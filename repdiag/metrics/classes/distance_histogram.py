"""Distributions of squared distances inside and between classes: the numbers behind one figure, not a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.shapes import Features, Float, Labels

LARGEST = 4.0  # squared distance of opposite unit rows
OCTAVES = 16  # of distances below it that have bins of their own: an untrained encoder's lie close together


@dataclass(frozen=True)
class DistanceHistogram:
    """Densities over bins of equal ratio up to 4, and means of the squared distances of pairs of one class and of two.

    The first bin reaches down to 0.
    """

    edges: Float[Tensor, "E"]
    intra: Float[Tensor, "B"]
    inter: Float[Tensor, "B"]
    intra_mean: float
    inter_mean: float


def distance_histogram(features: Features, labels: Labels, *, bins: int = 128, tile: int = 1024) -> DistanceHistogram:
    """Count every pair i < j of unit rows once, by whether its classes agree; memory O(tile^2)."""
    rows = torch.nn.functional.normalize(features.float(), dim=1)
    counts = torch.zeros(2, bins, dtype=torch.float64)
    sums = torch.zeros(2, dtype=torch.float64)
    highest = math.log2(LARGEST)
    lowest = highest - OCTAVES
    for start in range(0, len(rows), tile):
        for other in range(start, len(rows), tile):
            a, b = slice(start, start + tile), slice(other, other + tile)
            squared = (2.0 - 2.0 * rows[a] @ rows[b].T).clamp_(0.0, LARGEST)
            same = labels[a, None] == labels[None, b]
            once = torch.ones_like(same).triu_(1) if start == other else torch.ones_like(same)
            for kind, chosen in enumerate((same & once, ~same & once)):
                picked = squared[chosen]
                octave = torch.log2(picked.clamp_min(LARGEST * 2.0**-OCTAVES))
                counts[kind] += torch.histc(octave, bins=bins, min=lowest, max=highest).double().cpu()
                sums[kind] += picked.sum(dtype=torch.float64).cpu()
    totals = counts.sum(1)
    edges = torch.exp2(torch.linspace(lowest, highest, bins + 1, dtype=torch.float64))
    edges[0] = 0.0
    density = counts / (totals[:, None] * edges.diff()).clamp_min(1e-300)
    means = torch.where(totals > 0, sums / totals.clamp_min(1.0), torch.nan)
    return DistanceHistogram(edges, density[0], density[1], float(means[0]), float(means[1]))
