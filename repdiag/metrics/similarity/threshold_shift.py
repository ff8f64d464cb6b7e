"""Does a threshold on similarity still hold? Cosines of pairs of one class and of others, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.metrics.algebra.moments import float64_unit_rows

MOST_PAIRS = 1_000_000
FALSE_ACCEPTS = 0.01
"""The share of other pairs that the old encoder lets pass at the threshold that is looked at, if none is given."""


@dataclass(frozen=True, kw_only=True)
class PairCosines:
    """What the cosines of pairs are, on average, and which share of them reaches the threshold."""

    same_mean: float
    other_mean: float
    true_accepts: float
    false_accepts: float


@dataclass(frozen=True, kw_only=True)
class ThresholdShift:
    """The threshold, and the pairs of the old encoder, of the new one, and of new queries with the old gallery."""

    threshold: float
    old: PairCosines
    new: PairCosines
    mixed: PairCosines | None
    same_pairs: int
    other_pairs: int


def threshold_shift(
    features: Tensor, other: Tensor, labels: Tensor, *, threshold: float | None = None, seed: int = 0
) -> ThresholdShift | None:
    """Return what a threshold on cosine similarity lets pass, old and new, for pairs of one class and of two.

    Shapes: features [N, D] (old), other [N, E] (new), labels [N] -> cosines of pairs. Without a `threshold` it is the
    one at which the old encoder takes one in a hundred pairs of two classes for one. Pairs are all there are, or a
    million drawn by the seed. None where no class has two rows, or there is one class only.
    """
    same, others = _pairs(labels, seed=seed)
    if len(same) == 0 or len(others) == 0:
        return None
    old, new = float64_unit_rows(features), float64_unit_rows(other)
    before = _cosines(old, old, same), _cosines(old, old, others)
    if threshold is None:
        place = min(len(others) - 1, int((1.0 - FALSE_ACCEPTS) * len(others)))
        threshold = float(before[1].sort().values[place])
    mixed = None
    if old.shape[1] == new.shape[1]:
        mixed = _described(_cosines(new, old, same), _cosines(new, old, others), threshold)
    return ThresholdShift(
        threshold=threshold,
        old=_described(*before, threshold),
        new=_described(_cosines(new, new, same), _cosines(new, new, others), threshold),
        mixed=mixed,
        same_pairs=len(same),
        other_pairs=len(others),
    )


def _described(same: Tensor, others: Tensor, threshold: float) -> PairCosines:
    return PairCosines(
        same_mean=float(same.mean()),
        other_mean=float(others.mean()),
        true_accepts=float((same >= threshold).double().mean()),
        false_accepts=float((others >= threshold).double().mean()),
    )


def _cosines(left: Tensor, right: Tensor, pairs: Tensor) -> Tensor:
    return torch.cat([(left[part[:, 0]] * right[part[:, 1]]).sum(dim=1) for part in torch.split(pairs, 2**16)])


def _pairs(labels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    """Return pairs of rows [P, 2] of one class and of two."""
    rows = len(labels)
    if rows * (rows - 1) // 2 <= 2 * MOST_PAIRS:
        pairs = torch.triu_indices(rows, rows, 1, device=labels.device).T
        alike = labels[pairs[:, 0]] == labels[pairs[:, 1]]
        return pairs[alike], pairs[~alike]
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randint(rows, (MOST_PAIRS,), generator=generator) for _ in range(2))
    order = labels.cpu().argsort(stable=True)
    index, counts = torch.unique(labels.cpu(), return_inverse=True, return_counts=True)[1:]
    starts = counts.cumsum(0) - counts
    lot = torch.rand(MOST_PAIRS, generator=generator, dtype=torch.float64)
    mate = order[starts[index[first]] + (lot * counts[index[first]]).long()]
    same = torch.stack([first, mate], dim=1)[first != mate]
    others = torch.stack([first, second], dim=1)
    others = others[labels.cpu()[first] != labels.cpu()[second]]
    return same.to(labels.device), others.to(labels.device)
