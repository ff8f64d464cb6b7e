"""Nearest neighbours: classification, retrieval, hubness, local dimension."""

from repdiag.metrics.neighbors.best_nn import best_nn
from repdiag.metrics.neighbors.hubness import hubness
from repdiag.metrics.neighbors.knn_accuracy import knn_accuracy
from repdiag.metrics.neighbors.label_gap import label_gap
from repdiag.metrics.neighbors.locality import locality
from repdiag.metrics.neighbors.map_at_r import map_at_r
from repdiag.metrics.neighbors.mean_average_precision import mean_average_precision
from repdiag.metrics.neighbors.mean_reciprocal_rank import mean_reciprocal_rank
from repdiag.metrics.neighbors.multilabel_knn import multilabel_knn
from repdiag.metrics.neighbors.multilabel_map import multilabel_map
from repdiag.metrics.neighbors.precision_at_1 import precision_at_1
from repdiag.metrics.neighbors.r_precision import r_precision
from repdiag.metrics.neighbors.two_nn_dimension import two_nn_dimension

__all__ = [
    "best_nn",
    "hubness",
    "knn_accuracy",
    "label_gap",
    "locality",
    "map_at_r",
    "mean_average_precision",
    "mean_reciprocal_rank",
    "multilabel_knn",
    "multilabel_map",
    "precision_at_1",
    "r_precision",
    "two_nn_dimension",
]
