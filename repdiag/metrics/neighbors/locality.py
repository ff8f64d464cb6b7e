"""`locality`: how much of what the nearest neighbour knows is left among as many as the class has members?"""

from __future__ import annotations

import math

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.neighbors.ranked_lists import PartRetrieval, list_requests, on_parts
from repdiag.metrics.neighbors.retrieval import retrieve
from repdiag.metrics.registry import metric

_ERRORS_ABOVE_CHANCE = 2.0  # standard errors of guessing; a ratio to less than that is a ratio to noise


def _of_part(part: PartRetrieval) -> float | None:
    near = float(part.first.mean()) - part.chance
    return (float(part.precision.mean()) - part.chance) / near if near > 0.0 else None


@metric(
    direction="context",
    bounds=(-math.inf, math.inf),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="musgrave2020",
    interval="halves",
    reductions=list_requests,
    on_parts=on_parts(_of_part),
)
def locality(features: Features, labels: Labels, *, normalize: bool = True) -> MetricValue:
    """Locality: the share of precision at 1 that is left as R-precision, both above chance.

    Formula:      (r_precision - q) / (precision_at_1 - q),  q = mean_i (n_{y_i} - 1) / (N - 1), the share of a row's
                  class among the other rows
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        about 0 (neighbours of the class are only local) to 1 (classes are as compact as they are pure).
                  Better: context, since merged classes lower it as islands do.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as precision_at_1 and r_precision; rows that are alone in their class are left out. One interval, of
                  the ratio itself, from halves of the rows. Undefined if precision at 1 is within two standard errors
                  of chance, or below it.
    Read it as:   low beside a high precision_at_1: classes are scattered in islands, or share islands with other
                  classes. A finer granularity beside it says that they are scattered.
    Limits:       uncertain for an encoder that knows little, because the ratio then divides two small numbers.
    Cost:         that of r_precision, whose search it shares.
    Reference:    the ratio of two measures of Musgrave et al. 2020. No official code compared.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> float(locality(rows, torch.tensor([0, 0, 1, 1])))
                  1.0
    """
    found = retrieve(features, labels, normalize=normalize)
    if found is None:
        return undefined("no class has two rows", n=len(features))
    queries = len(found.queries)
    chance = float((found.wanted.double() / (len(features) - 1.0)).mean())
    first = float(found.relevant[:, 0].double().mean())
    deep = float((found.relevant.sum(dim=1) / found.wanted.double()).mean())
    if first <= chance + _ERRORS_ABOVE_CHANCE * math.sqrt(chance * max(0.0, 1.0 - chance) / queries):
        reason = f"the nearest rows are of the same class no more often than by chance ({first:.3f}, {chance:.3f})"
        return undefined(reason, n=len(features))
    return MetricValue(
        value=(deep - chance) / (first - chance),
        n=queries,
        extra={"precision_at_1": first, "r_precision": deep, "chance": chance, "lone_rows": found.lone},
    )
