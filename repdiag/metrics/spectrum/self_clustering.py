"""`self_clustering`: squared cosines beyond those of a uniform cloud."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.algebra.moments import unit_blocks
from repdiag.metrics.registry import metric


@metric(
    direction="lower",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="tsitsulin2023",
    interval="subsample",
    default=False,
)
def self_clustering(features: Features) -> MetricValue:
    """SelfCluster: sum of squared cosines over all pairs, from 0 (uniform on the sphere) to 1 (one line).

    Formula:      (Q - E) / (N^2 - E),  Q = sum_ij (z_i . z_j)^2,  E = N + N (N - 1) / D,  z = features / ||features||
    Shapes:       features [N, D] -> scalar.
    Range:        slightly negative (rows more spread than random) over 0 (uniform) to 1.  Better: lower.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  unit rows, uncentred, self-pairs included in Q and in E; no eps. Q = ||Z^T Z||_F^2, so no pair is
                  formed.
    Read it as:   how far the cloud is from filling its sphere; opposite rows count as equal.
    Limits:       compare at equal D only.
    Cost:         O(N D^2) time, O(D^2) memory.
    Reference:    Tsitsulin, Munkhoeva & Perozzi 2023, definition 3.5. Code compared: google-research,
                  graph_embedding. Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> float(self_clustering(torch.tensor([[1.0, 0.0], [2.0, 0.0]])))
        1.0
    """
    rows, dims = features.shape
    if rows < 2 or dims < 2:
        return undefined("needs two rows and two dimensions", n=rows)
    gram = features.new_zeros((dims, dims)).double()
    for _, unit in unit_blocks(features):
        gram.addmm_(unit.T, unit)
    expected = rows + rows * (rows - 1) / dims
    return MetricValue(value=(float(gram.square().sum()) - expected) / (rows * rows - expected), n=rows)
