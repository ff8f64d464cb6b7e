"""`islands`: into how many separate pieces a class falls, by held-out bisection."""

from __future__ import annotations

from typing import Any

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters.bisection import MOST
from repdiag.metrics.clusters.class_islands import ALPHA, LEAST_ROWS, ClassIslands, class_islands
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed, Share


@metric(
    direction="context",
    bounds=(1.0, float(MOST)),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="kalogeratos2012",
    interval="none",
)
def islands(
    features: Features,
    labels: Labels,
    *,
    alpha: Share = ALPHA,
    least_rows: Count = LEAST_ROWS,
    seed: Seed = 0,
) -> MetricValue:
    """Islands: the mean number of separate pieces that a class falls into.

    Formula:      a class is cut in two where min(1, 2 median of p) <= alpha / C, p that of Hartigan's dip of its scores
                  s_i = (z_i - m) . w, w = (S (1 - l) + l tr(S) / D)^-1 (m_1 - m_0) of 2-means on the other nine tenths
                  of its rows; the pieces again, at the same level; the mean over the classes of their pieces
    Shapes:       features [N, D], labels [N] -> scalar; per_class [C], NaN for a class with too few rows.
    Range:        1 (every class is one piece) to 16.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  unit rows in the 64 leading principal directions of their class; S is the covariance within the two
                  clusters, l = min(1, D / N). A row is scored only by directions fitted without it (10 folds). Folds
                  are dealt five times; the p-value is twice the median of the five, which is valid however they depend
                  on each other. The null of the dip is uniform, the least favourable distribution of one mode: 200,000
                  samples for each of 17 numbers of rows. Bonferroni over the classes that are judged. The cut lies
                  where the scores are sparsest between their two main modes. A piece needs 8 rows to count and 24 to be
                  cut again. Of three pieces or more, two whose union has one mode (p above .5) count as one. Exact
                  copies count once. A row whose nearest row belongs to another class is a confusion and does not count.
                  A class with fewer than `least_rows` different rows is not judged. extra: `split` holds, for each
                  class in more than one piece, its p-value, the shares of the pieces, and the rows at both ends of the
                  first cut; `too_few_rows` the rows of each class that was not judged; `share_split` the share of the
                  judged classes that is split.
    Read it as:   2 for a label that joins two unrelated kinds of image. Which classes are split matters more than the
                  mean.
    Limits:       misses islands that overlap so much that no direction shows two modes and, below about a thousand
                  rows, islands of less than a sixth of their class. One curved piece may show two modes. How often real
                  and planted classes are split: docs/uncertainty.md.
    Cost:         50 small runs of 2-means for each piece examined: about .3 s a class of 1,000 rows.
    Reference:    Kalogeratos & Likas 2012 (dip-means); Hartigan & Hartigan 1985; Meinshausen, Meier & Buehlmann 2009.
                  The dip is compared with PyPI's diptest: tests/golden/test_golden_dip.py.
    Example:
        >>> import torch
        >>> noise = 0.05 * torch.randn(240, 8, generator=torch.Generator().manual_seed(0))
        >>> rows = torch.eye(8)[:3].repeat_interleave(80, dim=0) + noise
        >>> islands(rows, torch.tensor([0, 0, 1]).repeat_interleave(80)).per_class.tolist()
        [2.0, 1.0]
    """
    found = class_islands(features, labels, alpha=alpha, least_rows=least_rows, seed=seed)
    judged = [each for each in found if each.pieces is not None]
    few = {str(each.label): each.rows for each in found if each.pieces is None}
    if not judged:
        most = max(each.rows for each in found)
        return undefined(f"too few rows: {least_rows} a class are needed, the largest has {most}", n=len(features))
    pieces = [float("nan") if each.pieces is None else float(each.pieces) for each in found]
    split = {str(each.label): _said(each) for each in judged if each.pieces != 1}
    return MetricValue(
        value=sum(each.pieces or 0 for each in judged) / len(judged),
        n=len(features),
        per_class=torch.tensor(pieces, dtype=torch.float64),
        extra={
            "split": split,
            "share_split": len(split) / len(judged),
            "judged_classes": len(judged),
            "smallest_p": min(each.p_value or 0.0 for each in judged),
            "too_few_rows": few,
        },
    )


def _said(found: ClassIslands) -> dict[str, Any]:
    return {
        "pieces": found.pieces,
        "p_value": found.p_value,
        "shares": [round(share, 4) for share in found.shares],
        "low": list(found.low),
        "high": list(found.high),
    }
