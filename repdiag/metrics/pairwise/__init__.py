"""One pass over all pairs of rows, in tiles, for every metric that looks at pairs.

A metric names what it wants of the pairs (`PotentialSum`, `PositiveRank`, `TopK`) and calls `over_pairs` or
`over_cross`; inside `sharing()` all requests on the same rows are served by one pass. Memory stays O(N D + tile^2).
"""

from repdiag.metrics.pairwise.euclidean_top_k import EuclideanTopK, euclidean_neighbors
from repdiag.metrics.pairwise.exact import exact_panels
from repdiag.metrics.pairwise.near_ties import Neighbors
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.passes import (
    PairRequest,
    over_cross,
    over_pairs,
    prefetch,
    reduce_cross,
    reduce_pairs,
)
from repdiag.metrics.pairwise.potential import PotentialSum
from repdiag.metrics.pairwise.processes import over_processes
from repdiag.metrics.pairwise.ranks import PositiveRank, Ranks
from repdiag.metrics.pairwise.reduction import Reduction
from repdiag.metrics.pairwise.rows import Rows, raw_rows, unit_rows
from repdiag.metrics.pairwise.sharing import sharing
from repdiag.metrics.pairwise.top_k import TopK

__all__ = [
    "EuclideanTopK",
    "Neighbors",
    "PairRequest",
    "Pairing",
    "PositiveRank",
    "PotentialSum",
    "Ranks",
    "Reduction",
    "Rows",
    "TopK",
    "euclidean_neighbors",
    "exact_panels",
    "over_cross",
    "over_pairs",
    "over_processes",
    "prefetch",
    "raw_rows",
    "reduce_cross",
    "reduce_pairs",
    "sharing",
    "unit_rows",
]
