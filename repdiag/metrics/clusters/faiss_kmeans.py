"""faiss's k-means with the settings that all of ours share."""

from __future__ import annotations

from typing import Any

from repdiag.metrics.clusters.spread_starts import RowArray


def trained(rows: RowArray, clusters: int, *, start: RowArray | None = None, **settings: int) -> Any:
    """Return faiss's k-means after one training on all rows, from the given centres or from its own start."""
    import faiss

    model = faiss.Kmeans(
        rows.shape[1],
        clusters,
        **settings,
        # Unless told that a cluster may have them all, faiss trains on a sample of 256 rows a cluster.
        max_points_per_centroid=len(rows),
        min_points_per_centroid=1,
    )
    if hasattr(model.cp, "early_stop_threshold"):
        model.cp.early_stop_threshold = 0.0  # newer faiss can stop early, which would compare unlike solutions
    if hasattr(faiss, "ClusteringInitMethod_KMEANS_PLUS_PLUS"):
        # RowArray drawn at random leave a third of equal islands without a centre; older releases have no other start.
        model.cp.init_method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    model.train(rows, init_centroids=start)
    return model
