"""`best_nn`: the best nearest-neighbour accuracy over many k."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels
from repdiag.metrics.algebra.classes_not_in_bank import NO_CLASS_IN_COMMON, share_no_class
from repdiag.metrics.neighbors.votes import align_classes, winners
from repdiag.metrics.pairwise import Pairing, PairRequest, TopK, over_cross, raw_rows, unit_rows
from repdiag.metrics.pairwise.sharing import memoised, tensor_key
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count


def _pairing(features: Tensor, other_features: Tensor, *, normalize: bool, center_batch: int | None) -> Pairing:
    if center_batch is not None:
        features, other_features = (centred_batches(rows, center_batch) for rows in (features, other_features))
    if normalize:
        return Pairing(unit_rows(features), unit_rows(other_features), None)
    bank = raw_rows(other_features)
    return Pairing(raw_rows(features, like=bank), bank, None)


def centred_batches(features: Tensor, size: int) -> Tensor:
    """Return the rows, every `size` in succession minus their own mean."""

    def centred() -> Tensor:
        rows = features.double()
        return torch.cat([part - part.mean(dim=0) for part in torch.split(rows, size)])

    return memoised(("centred_batches", size, tensor_key(features)), centred, keep=features)


def _requests(
    features: Tensor, *, other_features: Tensor, max_k: int, normalize: bool, center_batch: int | None, **_: Any
) -> list[PairRequest]:
    wish = TopK(min(max_k, len(other_features)))
    return [PairRequest(_pairing(features, other_features, normalize=normalize, center_batch=center_batch), wish)]


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=3,
    reference="shi2022",
    interval="per_query",
    second="bank",
    reductions=_requests,
)
def best_nn(
    features: Features,
    labels: Labels,
    *,
    other_features: Float[Tensor, "M D"],
    other_labels: Integer[Tensor, "M"],
    max_k: Count = 101,
    normalize: bool = False,
    center_batch: Count | None = None,
) -> MetricValue:
    """Best NN: the highest accuracy of an unweighted nearest-neighbour vote over all odd k up to 101.

    Formula:      max_{k in 1, 3, .., 101} mean_i [ argmax_c #{j in kNN(i) : y_j = c} = y_i ]
    Shapes:       features [N, D], labels [N], other_features [M, D], other_labels [M] -> scalar.
    Range:        0 to 1.  Better: higher.
    Invariant:    rotation, scale, translation, row order (normalize=True: not translation; with center_batch: not row
                  order).
    Conventions:  raw rows and Euclidean distance unless normalize=True; one vote each. Equal votes go to the smaller
                  label, equal accuracies to the smaller k, equal distances to the lower bank row. k stops at the size
                  of the bank. extra holds the chosen k and the whole curve, per_row the hits at that k. normalize=True
                  is the published reading "norm". normalize=True with center_batch=B is "shift-norm": it subtracts from
                  every B consecutive rows, and from every B rows of the bank, their own mean. That value depends on B
                  (512 by default in the published code) and on the order of the rows; the published code shuffles both
                  sets first. Since version 2 equal distances of quantised rows count as equal; rounding broke such ties
                  before.
    Read it as:   a figure to compare with published ones.
    Limits:       optimistic: k is chosen on the same rows that it is scored on. knn_accuracy does not do this.
    Cost:         O(N M D) multiply-adds and O(N (K + C)) for the votes of all k; O((N + M) D) memory.
    Reference:    Shi et al. 2022; official code: WOWNICE/ssl-small, eval/knn.py.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> rows, labels = torch.eye(3), torch.tensor([0, 1, 2])
                  >>> float(best_nn(rows, labels, other_features=rows, other_labels=labels))
                  1.0
    """
    if share_no_class(labels, other_labels):
        return undefined(NO_CLASS_IN_COMMON, n=len(features))
    most = min(max_k, len(other_features))
    pairing = _pairing(features, other_features, normalize=normalize, center_batch=center_batch)
    nearest = over_cross(pairing.left, pairing.right, TopK(most))
    truth, bank, classes = align_classes(labels, other_labels)
    steps = range(1, most + 1, 2)
    hits = torch.empty(len(steps), len(features), dtype=torch.bool, device=features.device)
    for queries, k, winner in winners(bank[nearest.index], classes=classes, at=steps):
        hits[k // 2, queries] = winner == truth[queries]
    curve = hits.double().mean(dim=1)
    best = int(curve.argmax())
    extra = {"k": steps[best], "curve": {str(k): float(value) for k, value in zip(steps, curve, strict=True)}}
    return MetricValue(value=float(curve[best]), n=len(features), per_row=hits[best].double(), extra=extra)
