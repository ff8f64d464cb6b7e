"""`knn_accuracy`: weighted nearest-neighbour classification against a bank."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels
from repdiag.metrics.algebra.classes_not_in_bank import NO_CLASS_IN_COMMON, share_no_class
from repdiag.metrics.neighbors.votes import align_classes, tallies
from repdiag.metrics.pairwise import Pairing, PairRequest, TopK, over_cross, unit_rows
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Positive


def _requests(features: Tensor, *, other_features: Tensor, k: int, **_: Any) -> list[PairRequest]:
    if k > len(other_features):
        return []
    return [PairRequest(Pairing(unit_rows(features), unit_rows(other_features), None), TopK(k))]


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="caron2021",
    interval="per_query",
    second="bank",
    variants=({"k": 10}, {"k": 20}, {"k": 100}, {"k": 200}, {"k": 20, "top": 5}),
    reductions=_requests,
)
def knn_accuracy(
    features: Features,
    labels: Labels,
    *,
    other_features: Float[Tensor, "M D"],
    other_labels: Integer[Tensor, "M"],
    k: Count = 20,
    temperature: Positive = 0.07,
    top: Count = 1,
) -> MetricValue:
    """kNN accuracy: the share of rows whose class wins a weighted vote of their k nearest bank rows.

    Formula:      argmax_c sum_{j in kNN(i), y_j = c} exp(cos(z_i, z_j) / T) = y_i
    Shapes:       features [N, D], labels [N], other_features [M, D], other_labels [M] -> scalar.
    Range:        0 to 1; chance is the share of the largest class.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  the DINO protocol: unit rows, T = .07. The bank is another set (the train rows), so no row is left
                  out. Neighbours are exact. Equal similarities go to the lower bank row, equal votes to the smaller
                  label. top=5 counts only classes that received votes; the published code fills up with classes without
                  votes in an arbitrary order, so its top-5 can differ at small k, by at most the share of queries with
                  fewer than five voted classes (in extra).
    Read it as:   an estimate of linear-probe accuracy without training anything.
    Limits:       if k exceeds the smallest class of the bank, large classes win.
    Cost:         O(N M D) multiply-adds, O((N + M) D) memory; all k share one pass in evaluate.
    Reference:    Caron et al. 2021, appendix; official code: facebookresearch/dino, eval_knn.py.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> rows, labels = torch.eye(3), torch.tensor([0, 1, 2])
                  >>> float(knn_accuracy(rows, labels, other_features=rows, other_labels=labels, k=1))
                  1.0
    """
    if k > len(other_features):
        return undefined(f"k={k} is more than the {len(other_features)} rows of the bank", n=len(features))
    if share_no_class(labels, other_labels):
        return undefined(NO_CLASS_IN_COMMON, n=len(features))
    nearest = over_cross(unit_rows(features), unit_rows(other_features), TopK(k))
    truth, bank, classes = align_classes(labels, other_labels)
    # exp(s / T) over exp(1 / T): the same votes, without overflow at small T.
    weights = ((nearest.score - 1.0) / temperature).exp()
    hits = torch.empty(len(features), dtype=torch.float64, device=features.device)
    few = 0
    for queries, _, tally in tallies(bank[nearest.index], weights, classes=classes, at=[k]):
        hits[queries] = _among_top(tally, truth[queries], top).double()
        few += int(((tally > 0).sum(dim=1) < top).sum())
    extra = {"queries_with_fewer_voted_classes": few} if top > 1 else {}
    return MetricValue(value=float(hits.mean()), n=len(features), per_row=hits, extra=extra)


def _among_top(tally: Tensor, truth: Tensor, top: int) -> Tensor:
    """Say which true classes are among the `top` of their tally; equal votes go to the smaller class."""
    own = tally.gather(1, truth[:, None])
    smaller = torch.arange(tally.shape[1], device=tally.device) < truth[:, None]
    ahead = (tally > own) | ((tally == own) & smaller)
    return (ahead.sum(dim=1) < top) & (own[:, 0] > 0)
