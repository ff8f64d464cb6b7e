"""Distances inside and between classes."""

from repdiag.metrics.classes.calinski_harabasz import calinski_harabasz
from repdiag.metrics.classes.cdnv import cdnv
from repdiag.metrics.classes.class_distance_ratio import class_distance_ratio
from repdiag.metrics.classes.davies_bouldin import davies_bouldin
from repdiag.metrics.classes.inter_class_distance import inter_class_distance
from repdiag.metrics.classes.intra_class_distance import intra_class_distance
from repdiag.metrics.classes.nc1 import nc1
from repdiag.metrics.classes.nc2 import nc2
from repdiag.metrics.classes.silhouette import silhouette

__all__ = [
    "calinski_harabasz",
    "cdnv",
    "class_distance_ratio",
    "davies_bouldin",
    "inter_class_distance",
    "intra_class_distance",
    "nc1",
    "nc2",
    "silhouette",
]
