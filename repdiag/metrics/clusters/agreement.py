"""Agreement of two groupings of the same rows: pure functions of their contingency table.

All but purity, homogeneity and completeness are symmetric. A grouping with a single group is compared as scikit-learn
does: homogeneity is 1 for one class, completeness is 1 for one cluster, and two equal groupings score 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.contingency import Contingency, Counts, entropy


def purity(table: Contingency) -> float:
    """Share of the rows that belong to the largest class of their cluster."""
    largest = np.zeros(len(table.clusters), dtype=np.int64)
    np.maximum.at(largest, table.cell_cluster, table.cells)
    return float(largest.sum() / table.rows)


def homogeneity(table: Contingency) -> float:
    """1 - H(class | cluster) / H(class): does every cluster hold one class only?"""
    total = entropy(table.classes)
    return min(1.0, table.mutual_information / total) if total > 0 else 1.0


def completeness(table: Contingency) -> float:
    """1 - H(cluster | class) / H(cluster): does every class lie in one cluster only?"""
    total = entropy(table.clusters)
    return min(1.0, table.mutual_information / total) if total > 0 else 1.0


def v_measure(table: Contingency) -> float:
    """Harmonic mean of homogeneity and completeness; equal to `normalized_mutual_information`."""
    first, second = homogeneity(table), completeness(table)
    return 2.0 * first * second / (first + second) if first + second > 0 else 0.0


def normalized_mutual_information(table: Contingency) -> float:
    """Mutual information over the arithmetic mean of the two entropies."""
    mean = 0.5 * (entropy(table.classes) + entropy(table.clusters))
    return min(1.0, table.mutual_information / mean) if mean > 0 else 1.0


def adjusted_mutual_information(table: Contingency) -> float:
    """(MI - E[MI]) / (mean entropy - E[MI]), the expectation over groupings at random with the same sizes."""
    if _trivially_equal(table):
        return 1.0
    chance = expected_mutual_information(table.classes, table.clusters)
    mean = 0.5 * (entropy(table.classes) + entropy(table.clusters))
    room = mean - chance
    if abs(room) < np.finfo(np.float64).eps:
        return 0.0  # the sizes alone fix the mutual information: there is no agreement beyond chance to find
    return float((table.mutual_information - chance) / room)


def adjusted_rand_index(table: Contingency) -> float:
    """Agreement over pairs of rows, corrected for chance: 0 in expectation for random groupings of these sizes."""
    together, first, second = _pairs(table.cells), _pairs(table.classes), _pairs(table.clusters)
    expected = first * second / _pairs(np.array([table.rows]))
    room = 0.5 * (first + second) - expected
    return float((together - expected) / room) if room != 0 else 1.0


def fowlkes_mallows_index(table: Contingency) -> float:
    """Geometric mean of pair precision and pair recall."""
    together, first, second = _pairs(table.cells), _pairs(table.classes), _pairs(table.clusters)
    return float(together / np.sqrt(first * second)) if together > 0 else 0.0


def expected_mutual_information(first: Counts, second: Counts) -> float:
    """Return E[MI] in nats over random groupings with these group sizes (Vinh et al. 2010, eq. 24: hypergeometric).

    A term depends on a pair of groups only through their sizes a and b. There are at most sqrt(2 N) unlike sizes, so
    the sum runs over pairs of *sizes*, weighted by how often they occur: thousands of clusters cost like dozens.
    """
    from scipy.special import gammaln

    total = int(first.sum())
    log_factorial = gammaln(np.arange(total + 1) + 1.0)
    sizes, times = np.unique(second, return_counts=True)
    result = 0.0
    for size, count in zip(*np.unique(first, return_counts=True), strict=True):
        result += count * float(times @ _expected_terms(int(size), sizes, log_factorial=log_factorial))
    return result


def _expected_terms(a: int, b: Counts, *, log_factorial: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for every b the sum over the possible overlaps n of P(n) (n/N) log(N n / (a b))."""
    total = len(log_factorial) - 1
    lowest = np.maximum(1, a + b - total)
    lengths = np.minimum(a, b) - lowest + 1
    starts = np.cumsum(lengths) - lengths
    which = np.repeat(np.arange(len(b)), lengths)
    n, b_n = lowest[which] + np.arange(len(which)) - starts[which], b[which]
    information = n / total * np.log(total * n / (a * b_n.astype(np.float64)))
    ways = log_factorial[n] + log_factorial[a - n] + log_factorial[b_n - n] + log_factorial[total - a - b_n + n]
    margins = log_factorial[a] + log_factorial[b] + log_factorial[total - a] + log_factorial[total - b]
    probability = np.exp(margins[which] - log_factorial[total] - ways)
    return np.asarray(np.add.reduceat(information * probability, starts))


def _pairs(counts: Counts) -> float:
    sizes = counts.astype(np.float64)
    return float(np.sum(sizes * (sizes - 1.0)) / 2.0)


def _trivially_equal(table: Contingency) -> bool:
    """Both groupings are one group, or both are all single rows."""
    groups = len(table.classes)
    return groups == len(table.clusters) and groups in (1, table.rows)
