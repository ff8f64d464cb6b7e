"""From rounded scores of a few candidates too many to the k nearest partners, in exact order.

Scores that differ by more than their errors are in order already. Near ties are scored anew in float64: first from the
rounded rows, which is cheap, and what still lies too close from the source. Where a dropped partner might have belonged
to the k, the whole row is looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.metrics.pairwise.exact import exact_error, exact_panels
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.rows import RawRows
from repdiag.metrics.pairwise.tiles import NOTHING, leave_out_own

SPARE = 4  # candidates kept beyond k, so that near ties at the border can be settled among them
_CHUNK = 1 << 21  # candidates settled at a time: some dozen arrays of that many are held
_CROWD = 64  # candidates beyond 2 k that a row with near ties at the border gets in its second round
_DIFFERENCES = 1 << 33  # numbers that are subtracted, at most, for rows whose lengths differ by many decades
_PANEL = 1 << 22  # tile scores held at a time in that round
# Up to this many partners a candidate of that round, whole float64 rows cost less than its candidates one by one.
_CHEAP_PANEL = 128


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The k nearest partners of every row, nearest first, equal ones by index: index [N, k], score [N, k]."""

    index: Tensor
    score: Tensor


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The best-scored partners of some consecutive rows, best first, and the error bound of each row's scores."""

    pairing: Pairing
    rows: Tensor
    score: Tensor
    index: Tensor
    error: Tensor


def settled(pairing: Pairing, score: Tensor, index: Tensor, *, k: int, slack: float = 1.0) -> Neighbors:
    """Return the k nearest partners out of candidates [N, >= k], best first.

    Their scores err by `slack` times what those of a tile do, and no partner that is not among them may have scored
    higher than a row's last candidate.
    """
    chosen = index.new_empty(len(index), k)
    scores = torch.empty(chosen.shape, dtype=torch.float64, device=index.device)
    doubtful = []
    height = max(64, _CHUNK // index.shape[1])
    for rows in torch.split(torch.arange(len(index), device=index.device), height):
        error = slack * pairing.left.error(slice(int(rows[0]), int(rows[-1]) + 1), pairing.right)
        candidates = _Candidates(pairing, rows, score[rows], index[rows], error)
        chosen[rows], scores[rows], open_ended = _settle(candidates, k)
        doubtful.append(rows[open_ended])
    again = torch.cat(doubtful)
    most = min(len(pairing.right), 2 * k + _CROWD)
    if most >= pairing.partners or len(pairing.right) > _CHEAP_PANEL * most:
        chosen[again], scores[again], still = _from_tiles(pairing, again, k, most=most)
        again = again[still]
    chosen[again], scores[again] = _from_panels(pairing, again, k)
    return Neighbors(chosen, scores)


def _settle(candidates: _Candidates, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Order candidates whose scores lie within their error of one another: by better scores, the last ones exact.

    Return the k nearest, their scores, and which rows may have lost a partner to rounding.
    """
    pairing, rows, index, error = candidates.pairing, candidates.rows, candidates.index, candidates.error
    left, right, block = pairing.left, pairing.right, slice(int(rows[0]), int(rows[-1]) + 1)
    score, width = candidates.score.double(), index.shape[1]
    # No partner that was dropped scored higher in its tile.
    dropped = score[:, -1] if score.shape[1] < pairing.partners else torch.full_like(score[:, -1], NOTHING)
    # Where the k-th lies that near to what was dropped, the whole row is looked at again: order here is for nothing.
    lost = score[:, k - 1] - dropped <= 2 * error
    place = _members(_near_ties(score, error, k) & ~lost[:, None])
    where, partner = rows.index_select(0, place // width), index.view(-1).index_select(0, place)
    score.view(-1).index_copy_(0, place, left.rounded_scores(where, right, partner))
    score, order = score.sort(dim=1, descending=True)
    index = index.gather(1, order)
    place = _members(_near_ties(score, left.rounding(block, right), k) & ~lost[:, None])
    where, partner = place // width, index.view(-1).index_select(0, place)
    score.view(-1).index_copy_(0, place, left.exact_scores(rows[where], right, partner))
    moved = torch.unique(where)  # the rows that are not in order yet: equal scores are near ties as well
    order = _by_score_then_index(score[moved], index[moved])
    score[moved], index[moved] = score[moved].gather(1, order), index[moved].gather(1, order)
    open_ended = lost | (score[:, k - 1] - dropped <= 2 * error)
    return index[:, :k], score[:, :k], open_ended


def _near_ties(score: Tensor, error: Tensor, k: int) -> Tensor:
    """Say which neighbouring scores [q, K - 1], from large to small, do not differ for certain and may matter.

    What lies below the k-th for certain may stand in any order.
    """
    slack = 2 * error[:, None]
    return (score[:, :-1] - score[:, 1:] <= slack) & (score[:, 1:] >= score[:, k - 1 : k] - slack)


def _members(close: Tensor) -> Tensor:
    """Return the places of all candidates that belong to a near tie, counted through all rows."""
    none = close.new_zeros(len(close), 1)
    return (torch.cat([close, none], dim=1) | torch.cat([none, close], dim=1)).flatten().nonzero().flatten()


def _from_tiles(pairing: Pairing, rows: Tensor, k: int, *, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take the k nearest of these rows out of whole rows of tile scores, by exact scores of the `most` nearest.

    Return them, their scores, and which rows have too many near the border for that.
    """
    left, right = pairing.left, pairing.right
    index = rows.new_zeros(len(rows), k)
    score = torch.zeros(index.shape, dtype=torch.float64, device=index.device)
    crowded = torch.zeros_like(rows, dtype=torch.bool)
    height = max(1, _PANEL // len(right))
    error = left.error(slice(0, len(left)), right)
    for place in torch.split(torch.arange(len(rows), device=rows.device), height):
        part = rows[place]
        tile = left.fast.new_empty(len(part), len(right))
        left.tile(part, right, slice(0, len(right)), out=tile)
        if pairing.own is not None:
            leave_out_own(tile, pairing.own[part])
        found, near = tile.topk(most, dim=1)
        open_ended = found[:, k - 1].double() - found[:, -1].double() <= 2 * error[part]
        crowded[place] = open_ended & (most < pairing.partners)
        exact = left.exact_scores(part.repeat_interleave(most), right, near.flatten()).view(-1, most)
        exact.masked_fill_(found == NOTHING, NOTHING)
        order = _by_score_then_index(exact, near)[:, :k]
        index[place], score[place] = near.gather(1, order), exact.gather(1, order)
    return index, score, crowded


def _from_panels(pairing: Pairing, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Take the k nearest of these rows out of whole float64 rows; where rounding leaves more than a few, by index."""
    width = min(k + SPARE, pairing.partners)
    right_numbers = len(pairing.right) * pairing.right.dims
    chosen = [rows.new_empty(0, width)]
    for part, scores in exact_panels(pairing, rows):
        found, near = scores.topk(width, dim=1)
        slack = 2 * exact_error(pairing, part)
        if width < pairing.partners:
            crowded = (found[:, k - 1] - found[:, -1] <= slack).nonzero().flatten()
            near[crowded] = _by_index(scores[crowded], found[crowded, k - 1 : k], slack[crowded, None], width)
            if isinstance(pairing.left, RawRows) and len(crowded) * right_numbers <= _DIFFERENCES:
                near[crowded] = _by_differences(pairing, part[crowded], scores[crowded], width)
        chosen.append(near)
    index = torch.cat(chosen)
    score = pairing.left.exact_scores(rows.repeat_interleave(width), pairing.right, index.flatten()).view(-1, width)
    order = _by_score_then_index(score, index)[:, :k]
    return index.gather(1, order), score.gather(1, order)


def _by_differences(pairing: Pairing, rows: Tensor, scores: Tensor, width: int) -> Tensor:
    """Return the nearest columns of each row by differences, which keep the digits that products of long rows lose."""
    right = pairing.right
    everyone = torch.arange(len(right), device=rows.device)
    found = []
    for row, known in zip(rows.tolist(), scores, strict=True):
        exact = pairing.left.exact_scores(torch.full_like(everyone, row), right, everyone)
        found.append(torch.where(known == NOTHING, NOTHING, exact).sort(descending=True, stable=True).indices[:width])
    return torch.stack(found) if found else rows.new_empty(0, width)


def _by_index(scores: Tensor, border: Tensor, slack: Tensor, width: int) -> Tensor:
    """Return the columns that lie above the border for certain, then those equal to it but for rounding, by index."""
    rank = (scores > border + slack).to(torch.int8) + (scores >= border - slack)
    return rank.sort(dim=1, descending=True, stable=True).indices[:, :width]


def _by_score_then_index(score: Tensor, index: Tensor) -> Tensor:
    found, order = score.sort(dim=1, descending=True)
    tied = (found[:, 1:] == found[:, :-1]).any(dim=1).nonzero().flatten()  # few rows: the others have one order only
    by_index = index[tied].argsort(dim=1)
    by_score = score[tied].gather(1, by_index).argsort(dim=1, descending=True, stable=True)
    order[tied] = by_index.gather(1, by_score)
    return order
