"""`multilabel_knn`: nearest neighbours vote for labels of which a row may have several."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, LabelMatrix
from repdiag.metrics.algebra.label_scores import expect_same_labels, mean_average_precision_of
from repdiag.metrics.pairwise import TopK, over_cross, unit_rows
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Positive


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="caron2021",
    second="bank",
    default=False,
)
def multilabel_knn(
    features: Features,
    label_matrix: LabelMatrix,
    *,
    other_features: Float[Tensor, "M D"],
    other_label_matrix: Float[Tensor, "M _"],
    k: Count = 20,
    temperature: Positive = 0.07,
) -> MetricValue:
    """Multi-label kNN: mean average precision over labels of the vote of each row's k nearest bank rows.

    Formula:      s_ic = sum_{j in kNN(i)} exp(cos(z_i, z_j) / T) l_jc / sum_{j in kNN(i)} exp(cos(z_i, z_j) / T),
                  mean over labels c of the average precision of s_.c for l_.c
    Shapes:       features [N, D], label_matrix [N, C], other_features [M, D], other_label_matrix [M, C] -> scalar.
    Range:        0 to 1; chance is about the mean share of rows that have a label.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  votes as in knn_accuracy: unit rows, T = .07, exact neighbours; equal similarities go to the lower
                  bank row. Average precision as in scikit-learn: steps without interpolation; scores equal to 1e-12
                  count as one. Labels that none or all of the rows have are left out and counted in extra. per_class
                  holds the value of each label. A k larger than the bank takes all of it.
    Read it as:   an estimate of multilabel_probe without training anything.
    Limits:       rare labels weigh as much as common ones. No interval, because labels are not rows.
    Cost:         O(N M D) multiply-adds, O((N + M) D + N C) memory.
    Reference:    Caron et al. 2021, for the vote. Closed form: tests/closed_form/test_multilabel.py.
    Example:      >>> import torch
                  >>> rows, labels = torch.eye(3), torch.tensor([[1, 0], [1, 1], [0, 1]])
                  >>> float(multilabel_knn(rows, labels, other_features=rows, other_label_matrix=labels, k=1))
                  1.0
    """
    expect_same_labels(label_matrix, other_label_matrix)
    if len(other_features) == 0:
        return undefined("the bank is empty", n=len(features))
    nearest = over_cross(unit_rows(features), unit_rows(other_features), TopK(min(k, len(other_features))))
    weights = ((nearest.score - 1.0) / temperature).double().exp()
    votes = (other_label_matrix != 0).double()
    scores = torch.stack(
        [(weights * votes[:, label][nearest.index]).sum(dim=1) for label in range(votes.shape[1])], dim=1
    )
    shares = (scores / weights.sum(dim=1, keepdim=True)).round(decimals=12)
    return mean_average_precision_of(shares, label_matrix != 0)
