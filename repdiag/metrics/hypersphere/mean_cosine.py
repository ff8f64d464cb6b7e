"""`mean_cosine`: how alike two random rows are."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.algebra.moments import unit_blocks
from repdiag.metrics.registry import metric


@metric(
    direction="context",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="ethayarajh2019",
    interval="u_statistic",
)
def mean_cosine(features: Features) -> MetricValue:
    """Mean cosine: the average cosine similarity of two different rows.

    Formula:      mean_{i<j} cos(x_i, x_j) = (||sum_i z_i||^2 - N) / (N (N - 1)),  z = row / ||row||
    Shapes:       features [N, D] -> scalar.
    Range:        -1 / (N - 1) (directions cancel) to 1 (all rows point the same way).  Better: context.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  pairs i<j, self-pairs excluded; closed form in float64; per_row holds each row's mean over its
                  partners.
    Read it as:   the width of the cone: near 1, all cosines are large whatever the images show.
    Limits:       does not show how many directions the rest of the variance uses.
    Cost:         O(N D) time, O(D) memory.
    Reference:    Ethayarajh 2019, section 3.2. Closed form: tests/closed_form/test_hypersphere.py.
    Example:      >>> import torch
                  >>> float(mean_cosine(torch.tensor([[1.0, 0.0], [0.0, 1.0]])))
                  0.0
    """
    if len(features) < 2:
        return undefined("needs two rows", n=len(features))
    parts = partner_means(features)
    return MetricValue(value=float(parts.mean().clamp(-1.0, 1.0)), n=len(features), per_row=parts)


def partner_means(features: Features) -> torch.Tensor:
    """Return each row's mean cosine with all other rows [N], in float64."""
    total = features.new_zeros(features.shape[1], dtype=torch.float64)
    for _, rows in unit_blocks(features):
        total += rows.sum(dim=0)
    result = torch.empty(len(features), dtype=torch.float64, device=features.device)
    for place, rows in unit_blocks(features):
        result[place] = rows @ total
    return (result - 1.0) / (len(features) - 1)
