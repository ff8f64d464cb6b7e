"""`multilabel_map`: retrieval where rows have several labels each."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, LabelMatrix
from repdiag.metrics.neighbors.retrieval import prepared
from repdiag.metrics.pairwise import Pairing, exact_panels
from repdiag.metrics.registry import metric


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="musgrave2020",
    interval="per_query",
    default=False,
)
def multilabel_map(features: Features, label_matrix: LabelMatrix, *, normalize: bool = True) -> MetricValue:
    """Multi-label mean average precision: the precision at the rank of each row that shares a label.

    Formula:      mean_i mean_{j : l_i . l_j > 0, j != i} #{relevant up to j's rank} / j's rank
    Shapes:       features [N, D], label_matrix [N, C] of zeros and ones -> scalar.
    Range:        0 to 1; chance is a little above the share of pairs that share a label.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as mean_average_precision; a partner is relevant if it shares at least one label. Rows without a
                  label, and rows that share a label with nobody, are left out as queries and counted in extra. With one
                  label for each row it equals mean_average_precision.
    Read it as:   how far down the ranking one has to go to find all rows that have something in common with the query.
    Limits:       a label that most rows have makes nearly everything relevant.
    Cost:         O(N^2 (D + C + log N)), in panels.
    Reference:    Musgrave et al. 2020, for one label a row. Closed form: tests/closed_form/test_multilabel.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> float(multilabel_map(rows, torch.tensor([[1, 0], [1, 1], [0, 1], [0, 1]])))
                  1.0
    """
    has = (label_matrix != 0).double()
    shared = has.sum(dim=0)
    partners = ((has @ shared) - has.sum(dim=1)) > 0  # a row shares each of its labels with itself
    queries = partners.nonzero().flatten()
    if len(queries) == 0:
        return undefined("no two rows share a label", n=len(features))
    parts, places = [], []
    for part, scores in exact_panels(Pairing.within(prepared(features, normalize=normalize)), queries):
        order = torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :-1]  # the last is the row itself
        relevant = (has[part] @ has.T > 0).gather(1, order)
        rank = torch.arange(1, relevant.shape[1] + 1, dtype=torch.float64, device=features.device)
        precision = relevant.cumsum(dim=1) / rank
        parts.append((precision * relevant).sum(dim=1) / relevant.sum(dim=1))
        places.append(part)
    each, rows = torch.cat(parts), torch.cat(places)
    extra = {"rows_without_a_partner": len(features) - len(each)}
    return MetricValue(value=float(each.mean()), n=len(each), per_row=each, rows=rows, extra=extra)
