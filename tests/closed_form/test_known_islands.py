"""Spaces with a known number of islands a class: the cluster metrics must find it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from repdiag.metrics.clusters import (
    ami,
    completeness,
    granularity,
    granularity_slope,
    homogeneity,
    kmeans_purity,
    nmi,
    v_measure,
)
from repdiag.metrics.clusters.kmeans import assignments
from repdiag.metrics.inference import with_interval
from repdiag.metrics.pairwise.sharing import sharing
from repdiag.metrics.registry import get

CLASSES, PER_CLASS, DIMS = 8, 96, 32


def islands(number: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Each class in `number` equal islands at random directions, with noise of a tenth of their distance."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.nn.functional.normalize(torch.randn(CLASSES * number, DIMS, generator=generator), dim=1)
    rows = centres.repeat_interleave(PER_CLASS // number, dim=0)
    rows = rows + 0.02 * torch.randn(rows.shape, generator=generator)
    return rows, torch.arange(CLASSES).repeat_interleave(PER_CLASS)


@pytest.mark.parametrize("number", [1, 2, 4, 8])
def test_granularity_recovers_the_number_of_islands(number: int) -> None:
    rows, labels = islands(number)
    found = granularity(rows, labels)
    assert found.value == pytest.approx(number, rel=0.25)
    assert not found.extra["at_edge"]


def slopes(rows: Tensor, labels: Tensor) -> dict[float, tuple[float, float]]:
    """Return the interval of the slope at every factor that has one."""
    found = {}
    for factor in (0.5, 2.0, 4.0):
        arguments = {"features": rows, "labels": labels, "factor": factor}
        value = granularity_slope(**arguments)
        value = with_interval(get("granularity_slope"), value, arguments, labels=labels)
        found[factor] = (float(value.ci_low), float(value.ci_high))
    return found


def test_the_slope_says_finer_coarser_or_as_the_labels() -> None:
    """Whole classes lose by any other number; two islands gain by 2; merged pairs of classes gain by half."""
    with sharing():
        assert all(high < 0.0 for _, high in slopes(*islands(1)).values())
        assert slopes(*islands(2))[2.0][0] > 0.0
        rows, labels = islands(1)
        merged = rows[labels // 2 * 2 * PER_CLASS + torch.arange(len(labels)) % (PER_CLASS)]
        merged = merged + 0.05 * torch.randn(merged.shape, generator=torch.Generator().manual_seed(3))
        assert slopes(merged, labels)[0.5][0] > 0.0


def test_the_slope_is_the_difference_of_two_points_of_the_curve() -> None:
    rows, labels = islands(2)
    expected = float(ami(rows, labels, clusters=32)) - float(ami(rows, labels, clusters=8))
    found = granularity_slope(rows, labels, factor=4.0)
    assert float(found) == pytest.approx(expected, abs=1e-12)
    assert found.params["clusters"] == 32
    two = labels % 2
    assert "2 clusters again" in str(granularity_slope(rows, two, factor=0.5).reason)


def test_as_many_clusters_as_islands_are_pure_but_incomplete() -> None:
    rows, labels = islands(4)
    settings = {"clusters": 4 * CLASSES, "restarts": 4}
    assert float(kmeans_purity(rows, labels, **settings)) > 0.98
    assert float(homogeneity(rows, labels, **settings)) > 0.97
    assert float(completeness(rows, labels, **settings)) == pytest.approx(0.6, abs=0.03)  # log 8 / log 32
    assert float(nmi(rows, labels, **settings)) == pytest.approx(float(v_measure(rows, labels, **settings)))


def test_random_labels_agree_with_no_clustering() -> None:
    rows, labels = islands(4)
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    for clusters in (4, 16, 64):
        assert abs(float(ami(rows, shuffled, clusters=clusters))) < 0.03


def test_the_same_seed_gives_the_same_assignments_and_sharing_changes_nothing() -> None:
    rows, _ = islands(4)
    first = assignments(rows, 20, seed=3)
    with sharing():
        second, third = assignments(rows, 20, seed=3), assignments(rows, 20, seed=3)
    assert (first == second).all()
    assert second is third
    assert (first != assignments(rows, 20, seed=4)).any()


def test_single_runs_have_no_spread_and_too_many_clusters_no_value() -> None:
    rows, labels = islands(1)
    assert ami(rows, labels, seeds=1).extra["sd"] is None
    found = ami(rows, labels, clusters=len(rows) + 1)
    assert found.value is None
    assert "clusters" in str(found.reason)


@pytest.mark.parametrize("rows", [77, 200])
def test_equal_rows_are_organised_at_no_number_of_clusters(rows: int) -> None:
    """An ami of 0 comes out as some 1e-16, and where that peaks is nowhere."""
    features = torch.tensor([0.3, -1.1, 2.7]).expand(rows, -1).contiguous()
    found = granularity(features, torch.arange(rows) % 4)
    assert found.value is None
    assert found.reason == "no number of clusters agrees with the classes beyond chance"
