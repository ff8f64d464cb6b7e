"""Rows that were drawn together, and rows that change the parts of other rows: their errors against what they mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.metrics.evaluate import evaluate
from repdiag.metrics.inference import with_interval
from repdiag.metrics.inference.means import mean_estimate
from repdiag.metrics.inference.pairs import pair_mean_estimate
from repdiag.metrics.inference.resampling import Rows, split_halves, units_of
from repdiag.metrics.inference.units import as_groups
from repdiag.metrics.registry import get
from repdiag.metrics.spectrum.coherence import PIVOT, TOP


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair_parts(rows: torch.Tensor) -> torch.Tensor:
    kernel = torch.exp(-torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square())
    return (kernel.sum(dim=1) - 1.0) / (len(rows) - 1)


def test_a_pair_mean_over_groups_has_the_error_of_leaving_whole_groups_out() -> None:
    groups = torch.arange(40).repeat_interleave(4)
    rows = draw(0, 40, 3)[groups] + 0.05 * draw(1, 160, 3)
    left_out = np.array([float(pair_parts(rows[groups != left]).mean()) for left in range(40)])
    parts = pair_parts(rows)
    found = pair_mean_estimate(float(parts.mean()), parts, groups=groups)
    assert found.error == pytest.approx(math.sqrt(39 * np.var(left_out)), rel=0.05)
    assert found.error > 1.5 * pair_mean_estimate(float(parts.mean()), parts).error
    assert (found.freedom, found.method) == (39, "jackknife over groups")


def test_parts_hold_whole_groups_and_their_share_of_every_class() -> None:
    groups, labels = torch.arange(24).repeat_interleave(3), torch.arange(6).repeat_interleave(12)
    side = units_of(get("cdnv"), labels, groups, rows=72).dealt(2, seed=3)
    by_group = side.reshape(24, 3)
    assert bool((by_group == by_group[:, :1]).all())
    assert by_group[:, 0].reshape(6, 4).sum(axis=1).tolist() == [2] * 6


@pytest.mark.parametrize("outer", ["already name their classes", "groups of several classes"])
def test_classes_are_no_strata_where_groups_cross_or_are_them(outer: str) -> None:
    labels = torch.arange(12).repeat_interleave(5)
    groups = labels.clone() if outer == "already name their classes" else torch.arange(60) % 10
    units = units_of(get("rankme"), labels, groups, rows=60)
    assert units.labels is None
    assert units.units == len(torch.unique(groups))


def test_queries_of_one_scene_count_once_inside_their_class() -> None:
    """Five near-copies a scene, four scenes a class: the error is that of the scenes about the level of their class."""
    labels, scenes = torch.arange(10).repeat_interleave(20), torch.arange(40).repeat_interleave(5)
    levels = draw(4, 10)
    parts = levels[labels] + draw(2, 40)[scenes] + 0.1 * draw(3, 200)
    by_rows, by_scene = (mean_estimate(parts, labels, groups=groups) for groups in (None, scenes))
    assert by_scene.error > 1.5 * by_rows.error
    assert by_scene.freedom == 30
    means = parts.reshape(10, 4, 5).mean(dim=2)
    assert by_scene.error == pytest.approx(math.sqrt(float(means.var(dim=1).mean()) / 40))
    crossing = torch.arange(200) % 8
    assert mean_estimate(parts, labels, groups=crossing).freedom == 7


def test_split_halves_give_the_error_of_a_mean() -> None:
    values = draw(5, 400)
    found = split_halves(lambda index: float(values[index].mean()), 0.0, rows=Rows(count=400), seed=0, splits=200)
    assert found is not None
    assert found.error == pytest.approx(float(values.std()) / 20.0, rel=0.2)


def test_the_margin_is_less_sure_than_its_rows_where_all_rows_are_alike() -> None:
    """In a cone one row moves the mean cosine of all others: leaving rows out one by one shows by how much."""
    metric, rows = get("alignment_margin"), 0.5 + draw(6, 60, 5)
    views = (rows + 0.3 * draw(7, 60, 5))[None]
    value = metric.function(rows, views)
    keep = [torch.arange(60) != left for left in range(60)]
    left_out = np.array([float(metric.function(rows[kept], views[:, kept])) for kept in keep])
    found = with_interval(metric, value, {"features": rows, "views": views})
    reach = 2.0010 * math.sqrt(59 * np.var(left_out))  # Student's t with 59 degrees of freedom
    assert float(found.ci_high) - float(found) == pytest.approx(reach, rel=0.05)
    assert value.per_row is not None
    assert reach > 1.3 * 2.0010 * float(value.per_row.std()) / math.sqrt(60)


@pytest.mark.parametrize("name", ["mutual_knn", "neighbor_jaccard"])
def test_the_error_of_shared_neighbours_is_what_other_rows_would_give(name: str) -> None:
    """The spread of the value over fresh rows, which a fixed gallery takes for half as large."""
    metric, values, reach = get(name), [], []
    for trial in range(60):
        rows = draw(trial, 90, 4)
        arguments = {"features": rows, "other_features": rows + 0.7 * draw(trial + 1000, 90, 4), "k": 6}
        value = metric.function(**arguments)
        values.append(float(value))
        if trial < 5:
            found = with_interval(metric, value, arguments, seed=trial)
            reach.append((float(found.ci_high) - float(found.ci_low)) / 2.0)
            assert str(found.ci_method) == "20 splits into halves"
            assert value.per_row is not None
            assert reach[-1] > 1.2 * 2.086 * float(value.per_row.std()) / math.sqrt(90)
    assert np.mean(reach) / 2.086 == pytest.approx(np.std(values), rel=0.35)  # Student's t with 20 degrees of freedom


def test_the_interval_of_a_largest_leverage_follows_from_exponential_spacings() -> None:
    spacings = np.random.default_rng(0).exponential(size=(100_000, TOP + 1))
    places = -np.log(np.cumsum(spacings, axis=1))
    scale = places[:, :TOP].mean(axis=1) - places[:, TOP]
    quantiles = np.quantile((places[:, 0] + math.log(math.log(2.0))) / scale, [0.025, 0.975])
    assert quantiles == pytest.approx(PIVOT, abs=0.1)


@pytest.mark.parametrize(("tails", "beyond"), [("heavy", 6.0), ("light", 2.5)])
def test_the_interval_of_coherence_covers_its_median(tails: str, beyond: float) -> None:
    metric, found = get("coherence"), []
    for trial in range(120):
        scale = draw(trial + 500, 200, 4).square().mean(dim=1, keepdim=True).sqrt() if tails == "heavy" else 1.0
        found.append(metric.function(draw(trial, 200, 5) / scale))
    median = float(np.median([float(value) for value in found]))
    hits = sum(value.ci_low <= median <= value.ci_high for value in found)
    assert binomtest(hits, len(found), 0.95, alternative="less").pvalue > 1e-3
    assert sum(value.ci_low <= beyond * median <= value.ci_high for value in found) < 0.4 * len(found)


def test_groups_are_taken_as_numbers_or_text_and_widen_the_intervals() -> None:
    labels = torch.arange(6).repeat_interleave(20)
    scene = torch.arange(30).repeat_interleave(4)
    rows = 2.0 * torch.eye(6, dtype=torch.float64)[labels] + draw(8, 30, 6)[scene] + 0.05 * draw(9, 120, 6)
    embeddings = EmbeddingSet(features=rows, labels=labels)
    names = ["uniformity", "rankme", "cdnv", "precision_at_1"]
    alone = evaluate(embeddings, names)
    together = evaluate(embeddings, names, groups=[f"scene {number}" for number in scene.tolist()])
    by_class = evaluate(embeddings, names, groups="classes")
    for before, after, classes in zip(alone, together, by_class, strict=True):
        assert before.value == after.value == classes.value
        assert after.ci_high - after.ci_low >= before.ci_high - before.ci_low
        assert before.metric == "precision_at_1" or "groups" in str(after.ci_method)
    assert next(row.ci_method for row in by_class) == "jackknife over classes"


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("scenes", "the word classes"),
        ("classes", "needs labels"),
        ([1, 2, 3], "one group for every row"),
        ([1] * 10 + [2] * 10, "at least 5"),
    ],
)
def test_groups_that_cannot_be_are_named(groups: object, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        as_groups(groups, None, rows=20)
