"""The contingency table of two groupings of the same rows; every agreement score is a function of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdiag.core.errors import MetricError

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Contingency:
    """Counts of the rows in each (class, cluster) cell that is not empty, and the two margins."""

    cells: Counts
    cell_class: Counts
    cell_cluster: Counts
    classes: Counts
    clusters: Counts

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.classes.sum())

    @cached_property
    def mutual_information(self) -> float:
        """Mutual information of the two groupings, in nats."""
        share = self.cells / self.rows
        chance = self.classes[self.cell_class] * (self.clusters[self.cell_cluster] / self.rows**2)
        return max(0.0, float(np.sum(share * np.log(share / chance))))


def contingency(labels: ArrayLike, clusters: ArrayLike) -> Contingency:
    """Count the rows of each class in each cluster, storing only the cells that occur."""
    first, second = np.asarray(labels), np.asarray(clusters)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        found = f"shapes {first.shape} and {second.shape}"
        raise MetricError("two groupings must name a group for each of the same rows", found=found)
    class_names, class_of = np.unique(first, return_inverse=True)
    cluster_names, cluster_of = np.unique(second, return_inverse=True)
    cells, counts = np.unique(class_of.astype(np.int64) * len(cluster_names) + cluster_of, return_counts=True)
    return Contingency(
        cells=counts.astype(np.int64),
        cell_class=cells // len(cluster_names),
        cell_cluster=cells % len(cluster_names),
        classes=np.bincount(class_of, minlength=len(class_names)).astype(np.int64),
        clusters=np.bincount(cluster_of, minlength=len(cluster_names)).astype(np.int64),
    )


def entropy(counts: Counts) -> float:
    """Return the entropy of a grouping with these group sizes, in nats."""
    share = counts[counts > 0] / counts.sum()
    return max(0.0, float(-np.sum(share * np.log(share))))
