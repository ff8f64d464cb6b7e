"""`neighbors_kept`: after a change of the encoder, are the nearest rows still the same?"""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.pairwise import Rows, TopK, over_pairs, unit_rows
from repdiag.metrics.registry import Sizes, metric
from repdiag.metrics.settings import Count
from repdiag.metrics.similarity.neighbor_sets import NO_NEIGHBOURS, has_no_neighbours
from repdiag.metrics.similarity.same_rows import check_same_rows

TIE = 2.0**-21
"""Cosines no further apart are one number in float32: either of two such rows may be called the nearer."""

_BLOCK = 2048  # rows whose k x k comparisons are held at once


def _depths(sizes: Sizes) -> list[dict[str, int]]:
    return [{"k": k} for k in (1, 10, 100) if k < sizes.rows]


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="huh2024",
    interval="halves",
    second="other",
    default=False,
    variants=_depths,
)
def neighbors_kept(features: Features, *, other_features: Float[Tensor, "M E"], k: Count = 1) -> MetricValue:
    """Neighbours kept: mean share of the k nearest rows that a second encoder of the same rows keeps.

    Formula:      mean_i max(|{j in S_Y(i): x_ij >= x_i - t}|, |{j in S_X(i): y_ij >= y_i - t}|) / k,  S(i) = the k
                  other rows of largest cosine, x_i and y_i the k-th largest cosine of row i, t = 2^-21
    Shapes:       features [N, D], other_features [N, E] -> scalar; per_row [N].
    Range:        about k / (N - 1) (unrelated) to 1 (the same neighbours).  Better: higher.
    Invariant:    rotation and scale of each encoder, row order.   Not invariant: translation.
    Conventions:  unit rows; the row itself is excluded by its index. k=1 is the share of rows whose nearest row stays
                  the same. Near ties count as kept: if two neighbours are equally near to the digits of float32, or are
                  exact copies, swapping them changes no search result. The interval comes from splits of the rows into
                  disjoint halves, because the rows are each other's gallery.
    Read it as:   how many search results survive an export, a quantisation or a retraining. Class accuracy does not
                  show this.
    Limits:       falls as the gallery grows, because the runner-up comes nearer: compare at equal N. Few rows flatter
                  it.
    Cost:         O(N^2 (D + E)) time, O(N k) memory and one tile.
    Reference:    Ours; without the ties it is mutual_knn (Huh et al. 2024, appendix A).
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> float(neighbors_kept(rows, other_features=3.0 * rows.flip(1)))
        1.0
    """
    check_same_rows(features, other_features)
    if not 1 <= k < len(features):
        return undefined(f"{k} neighbours of {len(features)} rows", n=len(features))
    if has_no_neighbours(features, "cosine") or has_no_neighbours(other_features, "cosine"):
        return undefined(NO_NEIGHBOURS, n=len(features))
    kept = _kept(unit_rows(features), unit_rows(other_features), k)
    return MetricValue(value=float(kept.mean()), n=len(features), per_row=kept)


def _kept(first: Rows, second: Rows, k: int) -> Tensor:
    mine, its = (over_pairs(rows, TopK(k)) for rows in (first, second))
    counts = [
        _near_enough(first, its.index, mine.index, least=mine.score[:, -1] - TIE),
        _near_enough(second, mine.index, its.index, least=its.score[:, -1] - TIE),
    ]
    return torch.maximum(*counts).double() / k


def _near_enough(rows: Rows, asked: Tensor, own: Tensor, *, least: Tensor) -> Tensor:
    """Return how many of the asked neighbours [N, k] are among a row's own, or score at least that much [N]."""
    held = torch.cat(
        [
            (part[:, :, None] == mine[:, None, :]).any(dim=2)
            for part, mine in zip(torch.split(asked, _BLOCK), torch.split(own, _BLOCK), strict=True)
        ]
    )
    row, place = (~held).nonzero(as_tuple=True)
    held[row, place] = rows.exact_scores(row, rows, asked[row, place]) >= least[row]
    return held.sum(dim=1)
