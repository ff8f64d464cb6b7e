"""`singular_spectrum`: the curve of singular values."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.algebra.moments import column_means, float64_blocks
from repdiag.metrics.registry import metric
from repdiag.metrics.spectrum.singular_values import singular_values


@metric(
    direction="context",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="jing2022",
    interval="subsample",
)
def singular_spectrum(features: Features) -> MetricValue:
    """Singular spectrum: share of the variance in its largest direction, with the whole curve in `extra`.

    Formula:      s_1^2 / sum_k s_k^2,  s = singular values of the centred rows;  extra: s_k / s_1 for all k
    Shapes:       features [N, D] -> scalar; extra["curve"] [min(N, D)].
    Range:        1 / min(N - 1, D) (whitened) to 1 (one direction).  Better: context.
    Invariant:    rotation, scale, translation, row order.
    Conventions:  raw rows, centred; the curve is divided by its first value, which removes its scale.
    Read it as:   a curve that drops to zero early is dimensional collapse. extra["used"] counts the values above 1e-4
                  of the first. If extra["longest_rows_share"] is near 1, the longest thousandth of the rows determines
                  the spectrum.
    Limits:       the tail of the curve below about sqrt(D / N) of the head is sampling noise.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    Jing et al. 2022, figure 1.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> round(float(singular_spectrum(rows)), 4)
        0.8
    """
    values = singular_values(features, centred=True)
    if float(values[0]) == 0.0:
        return undefined("all rows are equal: there is no variance", n=len(features))
    curve = values / values[0]
    return MetricValue(
        value=float(values[0].square() / values.square().sum()),
        n=len(features),
        extra={
            "curve": curve.tolist(),
            "used": int((curve > 1e-4).sum()),
            "dims": features.shape[1],
            "longest_rows_share": _of_longest_rows(features),
        },
    )


def _of_longest_rows(features: Features) -> float:
    """Return the share of the variance that the longest thousandth of the centred rows holds, one row at least."""
    mean = column_means(features)
    squares = torch.cat([(block - mean).square().sum(dim=1) for _, block in float64_blocks(features)])
    longest = squares.topk(-(-len(features) // 1000)).values
    return float(longest.sum() / squares.sum())
