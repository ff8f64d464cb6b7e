"""Two encoders compared on the same rows."""

from repdiag.metrics.similarity.cknna import cknna
from repdiag.metrics.similarity.cross_gallery import cross_gallery
from repdiag.metrics.similarity.linear_cka import linear_cka
from repdiag.metrics.similarity.minibatch_cka import minibatch_cka
from repdiag.metrics.similarity.mutual_knn import mutual_knn
from repdiag.metrics.similarity.neighbor_jaccard import neighbor_jaccard
from repdiag.metrics.similarity.neighbors_kept import neighbors_kept
from repdiag.metrics.similarity.procrustes_distance import procrustes_distance
from repdiag.metrics.similarity.row_cosine import row_cosine

__all__ = [
    "cknna",
    "cross_gallery",
    "linear_cka",
    "minibatch_cka",
    "mutual_knn",
    "neighbor_jaccard",
    "neighbors_kept",
    "procrustes_distance",
    "row_cosine",
]
