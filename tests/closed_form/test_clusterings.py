"""Agreement scores that can be worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from repdiag.core.errors import MetricError
from repdiag.metrics.clusters import agreement
from repdiag.metrics.clusters.contingency import contingency
from repdiag.metrics.clusters.curve import cluster_numbers, peak

EQUAL = {
    "purity",
    "homogeneity",
    "completeness",
    "v_measure",
    "normalized_mutual_information",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "fowlkes_mallows_index",
}


@pytest.mark.parametrize("score", sorted(EQUAL))
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2], [4, 4, 4], [0, 1, 2]])
def test_equal_groupings_score_one_under_other_names(score: str, labels: list[int]) -> None:
    if score == "fowlkes_mallows_index" and len(set(labels)) == len(labels):
        labels = [*labels, labels[0]]  # without any pair in a group the index is 0 by convention
    table = contingency(labels, [10 - label for label in labels])
    assert getattr(agreement, score)(table) == pytest.approx(1.0)


def test_each_class_split_into_two_equal_islands() -> None:
    """C classes, 2C clusters of one class each: H(class) = log C, H(cluster) = log 2C, information log C."""
    labels = np.repeat(np.arange(4), 6)
    table = contingency(labels, np.repeat(np.arange(8), 3))
    assert agreement.purity(table) == 1.0
    assert agreement.homogeneity(table) == pytest.approx(1.0)
    assert agreement.completeness(table) == pytest.approx(math.log(4) / math.log(8))
    assert agreement.normalized_mutual_information(table) == pytest.approx(2 * math.log(4) / math.log(32))
    # Of C(6, 2) = 15 pairs in a class, 2 C(3, 2) = 6 are kept together, and no others are joined.
    assert agreement.fowlkes_mallows_index(table) == pytest.approx(math.sqrt(6 / 15))


def test_two_classes_merged_into_one_cluster() -> None:
    """Two of four classes in one cluster: 3/4 of the rows are in the majority (one of the merged halves is not)."""
    labels = np.repeat(np.arange(4), 5)
    table = contingency(labels, np.minimum(labels, 2))
    assert agreement.purity(table) == pytest.approx(0.75)
    assert agreement.completeness(table) == pytest.approx(1.0)
    assert agreement.homogeneity(table) == pytest.approx(1.0 - 0.5 * math.log(2) / math.log(4))


def test_independent_groupings_carry_no_information() -> None:
    """Every class meets every cluster equally often: information 0, and chance-corrected scores below 0."""
    labels, clusters = np.repeat(np.arange(3), 6), np.tile(np.arange(3), 6)
    table = contingency(labels, clusters)
    assert table.mutual_information == pytest.approx(0.0, abs=1e-15)
    assert agreement.adjusted_mutual_information(table) < 0.0
    assert agreement.adjusted_rand_index(table) < 0.0


@pytest.mark.parametrize(("first", "second"), [([3, 2], [2, 2, 1]), ([4, 1], [3, 2]), ([2, 2, 2], [3, 3])])
def test_expected_information_is_the_mean_over_all_arrangements(first: list[int], second: list[int]) -> None:
    """The definition: the mean of the information over every way to deal the rows to groups of these sizes."""
    labels = np.repeat(np.arange(len(first)), first)
    clusters = np.repeat(np.arange(len(second)), second)
    every = [contingency(labels, list(deal)).mutual_information for deal in set(itertools.permutations(clusters))]
    found = agreement.expected_mutual_information(np.array(first), np.array(second))
    assert found == pytest.approx(float(np.mean(every)), rel=1e-12)


def test_groupings_must_cover_the_same_rows() -> None:
    with pytest.raises(MetricError, match="same rows"):
        contingency([0, 1], [0, 1, 1])


def test_the_curve_spans_a_quarter_to_sixteen_clusters_a_class() -> None:
    assert cluster_numbers(20, 10_000) == (5, 10, 20, 40, 80, 160, 320)
    assert cluster_numbers(10, 100) == (2, 5, 10, 20, 40)


def test_the_peak_of_a_parabola_in_log_numbers_is_found_between_its_points() -> None:
    numbers = (10, 20, 40, 80)
    scores = [1.0 - (math.log(number) - math.log(33.0)) ** 2 for number in numbers]
    position, at_edge = peak(numbers, scores)
    assert position == pytest.approx(33.0, rel=1e-12)
    assert not at_edge
    assert peak(numbers, [4.0, 3.0, 2.0, 1.0]) == (10.0, True)
