"""`info_nce`: the loss of the pretext task on a fixed set."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Views
from repdiag.metrics.pairwise import PotentialSum, over_cross
from repdiag.metrics.pretext.queue import queue_task
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Positive, Seed


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale"},
    version=2,
    reference="oord2018",
    interval="per_query",
    spaces=("projections",),
)
def info_nce(views: Views, *, temperature: Positive = 0.2, queue_size: Count = 65536, seed: Seed = 0) -> MetricValue:
    """InfoNCE: the cross-entropy of finding one's own view among K keys of other images.

    Formula:      mean_i -log [ e^{q_i.k_i^+ / T} / (e^{q_i.k_i^+ / T} + sum_{j in queue} e^{q_i.k_j / T}) ]
    Shapes:       views [V, N, P] of projections -> scalar (nats).
    Range:        0 to log(K + 1) at chance; above that if the positive is less similar than others.  Better: lower.
    Invariant:    rotation, scale.   Not invariant: translation, row order (the draw names row numbers).
    Conventions:  unit rows; q from view 1, k from view 2 of one encoder. K = min(queue_size, N - 1) as in
                  contrast_accuracy, and given in extra. T = .2 as in MoCo v2; pass the temperature of the training.
    Read it as:   the training loss without stale keys, on images of either split.
    Limits:       grows with log K and with 1/T: compare at equal K and T only.
    Cost:         O(N K P) multiply-adds and N K exponentials, O(N P) memory.
    Reference:    van den Oord et al. 2018, eq. 4; temperature and queue of He et al. 2020.
                  Closed form: tests/closed_form/test_pretext.py.
    Example:      >>> import torch
                  >>> rows = torch.eye(4, dtype=torch.float64)
                  >>> round(float(info_nce(rows.expand(2, 4, 4), temperature=1.0)), 6)  # log(1 + 3 / e)
                  0.743668
    """
    if views.shape[1] < 2:
        return undefined("needs two rows", n=views.shape[1])
    task = queue_task(views, queue_size=queue_size, seed=seed)
    # exp((s - 1) / T) is the potential exp(2 t (s - 1)) at t = 1 / 2T: one reduction serves both.
    others = over_cross(task.queries, task.keys, PotentialSum(0.5 / temperature), own=task.own)
    everyone = torch.arange(len(others), device=others.device)
    positive = (task.queries.exact_scores(everyone, task.positives, everyone) - 1.0) / temperature
    parts = torch.logaddexp(positive, others.log()) - positive
    return MetricValue(value=float(parts.mean()), n=len(parts), per_row=parts, extra={"negatives": task.negatives})
