"""Severity grades on both sides of each of their limits, and the gap that pieces of a class must show."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.diagnosis.diagnose import judge

Row = Callable[..., MetricRow]
CURVE = {"clusters": 40, "extra": {"per_class_clusters": 4.0}}


@pytest.mark.parametrize(
    ("cosine", "grade"), [(0.96, "marked"), (0.994, "marked"), (0.9951, "severe"), (0.999, "severe")]
)
def test_a_cone_is_severe_within_a_tenth_of_what_the_limit_leaves_open(row: Row, cosine: float, grade: str) -> None:
    """The limit of .95 leaves .05 to 1; a tenth of it is .005, so that .995 divides the grades."""
    found = judge(MetricTable((row("mean_cosine", cosine, half=0.0001),))).collapse
    assert (found.cone.severity, found.cone.verdict) == (grade, "collapsed")


@pytest.mark.parametrize(
    ("gap", "grade"),
    [(0.035, "mild"), (0.05, "mild or marked"), (0.075, "marked"), (0.095, "marked or severe"), (0.215, "severe")],
)
def test_overfitting_is_graded_by_what_the_interval_touches(row: Row, gap: float, grade: str) -> None:
    """None up to 2 points, mild up to 5, marked up to 10, severe above; the ends lie one point off the gap."""
    table = MetricTable((row("pretext_gap", gap, half=0.01, pair="original-view", k=1),))
    found = judge(table).overfitting
    assert (found.verdict, found.severity) == ("overfitting", grade)


def space(row: Row, *, granularity: float, islands: float, gap_low: float) -> MetricTable:
    extra = {"gap": gap_low + 0.1, "gap_low": gap_low, "depth": 0.9}
    return MetricTable(
        (
            row("granularity", granularity, half=0.05),
            row("ami", 0.8, **CURVE),
            row("sub_clusters", islands, half=0.1, extra=extra),
            row("precision_at_1", 0.97, half=0.005),
            row("r_precision", 0.3, half=0.01),
            row("class_distance_ratio", 0.9, half=0.01),
        )
    )


@pytest.mark.parametrize(
    ("granularity", "islands", "grade"),
    [
        (1.8, 3.0, "mild"),
        (1.8, 3.9, "mild"),
        (1.8, 4.2, "marked"),
        (2.2, 3.0, "marked"),
        (5.8, 3.0, "marked"),
        (6.2, 3.0, "severe"),
    ],
)
def test_over_clustering_is_graded_by_how_many_times_too_fine(
    row: Row, granularity: float, islands: float, grade: str
) -> None:
    """Marked above twice, severe above six times; islands count by their square root."""
    found = judge(space(row, granularity=granularity, islands=islands, gap_low=0.5)).over_clustering
    assert (found.verdict, found.severity) == ("over-clustered", grade)


@pytest.mark.parametrize(
    ("granularity", "grade"), [(0.6, "mild"), (0.52, "mild"), (0.45, "marked"), (0.18, "marked"), (0.15, "severe")]
)
def test_under_clustering_is_graded_by_how_many_classes_share(row: Row, granularity: float, grade: str) -> None:
    table = MetricTable((row("granularity", granularity, half=0.01), row("ami", 0.8, **CURVE)))
    found = judge(table).over_clustering
    assert (found.verdict, found.severity) == ("under-clustered", grade)


@pytest.mark.parametrize(
    ("gap_low", "reading", "verdict"), [(0.029, "neutral", "inconclusive"), (0.031, "for", "over-clustered")]
)
def test_pieces_count_as_islands_only_from_a_gap_on(row: Row, gap_low: float, reading: str, verdict: str) -> None:
    """Pieces whose gap to one normal class has its lower end below .03 are cuts through one piece."""
    found = judge(space(row, granularity=4.0, islands=4.0, gap_low=gap_low)).over_clustering
    (islands,) = [item for item in found.evidence if item.metric == "sub_clusters"]
    assert (islands.reading, found.verdict) == (reading, verdict)


@pytest.mark.parametrize(("live", "grade"), [(1, "severe"), (2, "marked"), (6, "marked"), (7, "mild")])
def test_dimensional_collapse_is_graded_by_the_share_of_live_directions(row: Row, live: int, grade: str) -> None:
    """Of 28 directions: severe below a twentieth, marked below a quarter."""
    curve = [1.0] * live + [1e-9] * (28 - live)
    table = MetricTable((row("singular_spectrum", 0.0, half=None, extra={"curve": curve}, n=500),))
    found = judge(table).collapse.dimensional
    assert (found.verdict, found.severity) == ("collapsed", grade)


@pytest.mark.parametrize(("gap", "words"), [(0.05, "5.0 points more often"), (-0.05, "5.0 points less often")])
def test_a_gap_in_neighbours_is_told_with_its_direction(row: Row, gap: float, words: str) -> None:
    table = MetricTable((row("label_gap", gap, half=0.01, of="precision_at_1"),))
    (evidence,) = [item for item in judge(table).overfitting.evidence if item.metric == "label_gap"]
    assert words in evidence.sentence


def test_scattered_classes_are_told_with_both_squared_distances(row: Row) -> None:
    distances = (
        row("alignment", 0.1, half=0.01, pair="original-view"),
        row("intra_class_distance", 0.5, half=0.01),
    )
    table = MetricTable((*space(row, granularity=1.0, islands=1.0, gap_low=0.0).rows, *distances))
    told = " ".join(item.sentence for item in judge(table).over_clustering.evidence)
    assert "0.10 from an image to its view and 0.50 within a class" in told


def test_an_open_gap_is_told_with_the_number_of_images_that_would_settle_it(row: Row) -> None:
    """Half the width of .06 must come down to the .04 between the gap and the limit: (.06 / .04)^2 times 500 images."""
    table = MetricTable((row("pretext_gap", 0.01, half=0.06, n=500, pair="original-view", k=1),))
    found = judge(table).overfitting
    (count,) = re.findall(r"about ([\d,]+) images would settle it", found.summary)
    assert (found.verdict, int(count.replace(",", ""))) == ("inconclusive", pytest.approx(1125, abs=1))
