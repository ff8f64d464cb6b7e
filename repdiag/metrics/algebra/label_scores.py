"""Scores of labels, of which a row may have several: the average precision of each label, and their mean."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue, undefined

NO_LABEL = "no label is on some of the rows and not on all"


def expect_same_labels(label_matrix: Tensor, other_label_matrix: Tensor) -> None:
    """Raise `MetricError` where rows and bank do not have the same labels."""
    if label_matrix.shape[1] != other_label_matrix.shape[1]:
        found = f"{label_matrix.shape[1]} and {other_label_matrix.shape[1]}"
        raise MetricError("the rows and the bank differ in their number of labels", found=found)


def mean_average_precision_of(scores: Tensor, truth: Tensor) -> MetricValue:
    """Return the mean over labels of the average precision of scores [N, C] for truth [N, C]; equal scores rank as one.

    Labels on none or on all of the rows are left out and counted in extra; per_class holds each label's, NaN without.
    """
    from sklearn.metrics import average_precision_score

    wanted, given = truth.cpu().numpy(), scores.double().cpu().numpy()
    each = torch.full((truth.shape[1],), float("nan"), dtype=torch.float64)
    for label in range(truth.shape[1]):
        column = wanted[:, label]
        if 0 < int(column.sum()) < len(column):
            each[label] = float(average_precision_score(column, given[:, label]))
    known = each[~each.isnan()]
    if len(known) == 0:
        return undefined(NO_LABEL, n=len(truth))
    extra = {"labels_left_out": int(each.isnan().sum())}
    return MetricValue(value=float(known.mean()), n=len(truth), per_class=each, extra=extra)
