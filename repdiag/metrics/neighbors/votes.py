"""Votes of the nearest rows of a bank, for all k at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

_CHUNK = 1 << 22  # votes held at a time


def align_classes(labels: Tensor, bank_labels: Tensor) -> tuple[Tensor, Tensor, int]:
    """Number the classes of both sets 0..C-1 in the order of their labels."""
    present, index = torch.unique(torch.cat([labels, bank_labels]), return_inverse=True)
    return index[: len(labels)], index[len(labels) :], len(present)


def tallies(votes: Tensor, weights: Tensor, *, classes: int, at: Iterable[int]) -> Iterator[tuple[slice, int, Tensor]]:
    """Yield (queries, k, tally [q, C]) for every k of `at`, ascending: the weighted votes of the first k neighbours.

    `votes` and `weights` are [Q, K]. One tally grows from k to k; it is valid until the next step.
    """
    steps = sorted(at)
    height = max(1, _CHUNK // classes)
    for start in range(0, len(votes), height):
        queries = slice(start, min(start + height, len(votes)))
        tally = weights.new_zeros(queries.stop - start, classes)
        counted = 0
        for k in steps:
            tally.scatter_add_(1, votes[queries, counted:k], weights[queries, counted:k])
            counted = k
            yield queries, k, tally


def winners(votes: Tensor, *, classes: int, at: Iterable[int]) -> Iterator[tuple[slice, int, Tensor]]:
    """Yield (queries, k, winner [q]) for every k of `at`, ascending: the class with most of the first k votes [Q, K].

    Equal counts go to the smaller class. A vote moves the count of one class only, so that the winner so far is
    compared with that class alone: all k together cost what one does.
    """
    steps = sorted(at)
    height = max(1, _CHUNK // classes)
    for start in range(0, len(votes), height):
        queries = slice(start, min(start + height, len(votes)))
        columns = votes[queries].T.contiguous()
        tally = columns.new_zeros(columns.shape[1], classes, dtype=torch.int32)
        one = tally.new_ones(len(tally), 1)
        winner, most = columns[0].clone(), tally.new_zeros(len(tally))
        counted = 0
        for k in steps:
            for voted in columns[counted:k]:
                count = tally.scatter_add_(1, voted[:, None], one).gather(1, voted[:, None])[:, 0]
                wins = (count > most) | ((count == most) & (voted < winner))
                winner, most = torch.where(wins, voted, winner), torch.maximum(count, most)
            counted = k
            yield queries, k, winner
