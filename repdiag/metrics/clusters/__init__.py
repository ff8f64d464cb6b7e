"""k-means clusters held against the classes."""

from repdiag.metrics.clusters.ami import ami
from repdiag.metrics.clusters.ari import ari
from repdiag.metrics.clusters.completeness import completeness
from repdiag.metrics.clusters.fowlkes_mallows import fowlkes_mallows
from repdiag.metrics.clusters.granularity import granularity
from repdiag.metrics.clusters.granularity_slope import granularity_slope
from repdiag.metrics.clusters.homogeneity import homogeneity
from repdiag.metrics.clusters.islands import islands
from repdiag.metrics.clusters.kmeans_purity import kmeans_purity
from repdiag.metrics.clusters.nmi import nmi
from repdiag.metrics.clusters.sub_clusters import sub_clusters
from repdiag.metrics.clusters.v_measure import v_measure

__all__ = [
    "ami",
    "ari",
    "completeness",
    "fowlkes_mallows",
    "granularity",
    "granularity_slope",
    "homogeneity",
    "islands",
    "kmeans_purity",
    "nmi",
    "sub_clusters",
    "v_measure",
]
