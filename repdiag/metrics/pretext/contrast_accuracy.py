"""`contrast_accuracy`: the (K + 1)-way accuracy that training monitors."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Views
from repdiag.metrics.pairwise import PositiveRank, over_cross
from repdiag.metrics.pretext.queue import queue_task
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale"},
    version=2,
    reference="he2020",
    interval="per_query",
    spaces=("projections",),
    variants=({"k": 1}, {"k": 5}),
)
def contrast_accuracy(views: Views, *, queue_size: Count = 65536, k: Count = 1, seed: Seed = 0) -> MetricValue:
    """Contrast accuracy: the share of queries that find their positive among K keys of other images.

    Formula:      mean_i [ #{j in queue : q_i . k_j >= q_i . k_i^+} < k ],  q from view 1, k from view 2
    Shapes:       views [V, N, P] of projections -> scalar.
    Range:        k / (K + 1) (chance) to 1.  Better: higher.
    Invariant:    rotation, scale.   Not invariant: translation, row order (the draw names row numbers).
    Conventions:  unit rows; one encoder makes queries and keys. K = min(queue_size, N - 1) keys of other images are
                  drawn from `seed`: the same keys for all queries, without a query's own. A tie counts as a miss. extra
                  holds K.
    Read it as:   what the training log calls accuracy, on a fixed set. Read it only with the trained projector, whose
                  space the loss saw.
    Limits:       rises as K falls: compare at equal K only. Training's own figure also contains the momentum encoder
                  and stale keys.
    Cost:         O(N K P) multiply-adds, O(N P) memory.
    Reference:    He et al. 2020, algorithm 1; official code: facebookresearch/moco, moco/builder.py.
                  Closed form: tests/closed_form/test_pretext.py.
    Example:      >>> import torch
                  >>> float(contrast_accuracy(torch.eye(4).expand(2, 4, 4), queue_size=2))
                  1.0
    """
    if views.shape[1] < 2:
        return undefined("needs two rows", n=views.shape[1])
    task = queue_task(views, queue_size=queue_size, seed=seed)
    if task.negatives < k:
        return undefined(f"top-{k} of {task.negatives + 1} candidates cannot fail", n=len(task.queries))
    ranks = over_cross(task.queries, task.keys, PositiveRank(task.positives, k), own=task.own)
    hits = (ranks.ahead < k).double()
    ties = int(((ranks.ahead >= k) & (ranks.strictly_ahead < k)).sum())
    extra = {"negatives": task.negatives, "ties": ties}
    return MetricValue(value=float(hits.mean()), n=len(hits), per_row=hits, extra=extra)
