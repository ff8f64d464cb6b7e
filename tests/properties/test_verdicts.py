"""What holds of every verdict, whatever the space: legal answers, invariances, monotony in the thresholds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.diagnosis.diagnose import diagnose, judge
from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space
from repdiag.diagnosis.thresholds import Thresholds

LEGAL = {
    "over_clustering": {"over-clustered", "not over-clustered", "under-clustered", "inconclusive"},
    "overfitting": {"overfitting", "no overfitting", "inconclusive"},
    "collapse": {"collapsed", "not collapsed", "inconclusive"},
}
METRICS = {
    "granularity": st.floats(0.25, 16),
    "sub_clusters": st.floats(1, 32),
    "precision_at_1": st.floats(0, 1),
    "r_precision": st.floats(0, 1),
    "class_distance_ratio": st.floats(0, 1.2),
    "mean_cosine": st.floats(-0.1, 1),
}


# Plain numbers: rows are made in the tests, since the checks of shapes draw random numbers of their own.
STORED = st.fixed_dictionaries(
    {
        "metrics": st.fixed_dictionaries(
            {},
            optional={
                name: st.tuples(st.none() | values, st.none() | st.floats(0, 1)) for name, values in METRICS.items()
            },
        ),
        "accuracies": st.tuples(st.floats(0, 1), st.floats(0, 1)),
        "curve": st.lists(st.floats(0, 1), min_size=1, max_size=40),
        "ami": st.floats(-0.1, 1),
    }
)


def table_of(stored: dict[str, Any]) -> MetricTable:
    """Any rows that a run might have stored: with and without values, intervals and reasons."""
    rows = [row(name, value, half) for name, (value, half) in stored["metrics"].items()]
    for split, value in zip(("val", "train"), stored["accuracies"], strict=True):
        rows.append(row("instance_discrimination_accuracy", value, None, split, pair="original-view", k=1))
    curve = [1.0, *sorted(stored["curve"], reverse=True)]
    rows.append(replace(row("singular_spectrum", 0.5, None), extra={"curve": curve, "dims": 64}))
    rows.append(replace(row("ami", stored["ami"], None, clusters=10), extra={"per_class_clusters": 1.0}))
    return MetricTable(tuple(rows))


def row(name: str, value: float | None, half: float | None, split: str = "val", **params: object) -> MetricRow:
    half = None if value is None else half
    return MetricRow(
        checkpoint="a",
        dataset="d",
        split=split,
        space="features",
        metric=name,
        version=1,
        params=params,
        value=value,
        ci_low=None if half is None else value - half,
        ci_high=None if half is None else value + half,
        n=100,
        reason="not computed" if value is None else None,
        extra={"gap": 0.1, "gap_low": 0.05} if name == "sub_clusters" else {},
    )


@given(STORED)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_stored_rows_give_legal_answers_with_reasons(stored: dict[str, Any]) -> None:
    diagnosis = judge(table_of(stored))
    for name, finding in diagnosis:
        assert finding.verdict in LEGAL[name]
        assert finding.summary
        assert finding.thresholds
        assert finding.severity.startswith("none") or not finding.verdict.startswith("no")
        assert bool(finding.advice) == (finding.verdict in diagnosis.faults or finding.verdict == "collapsed")
    if diagnosis.over_clustering.verdict == "over-clustered":  # nothing but islands makes a space over-clustered
        assert (stored["metrics"].get("sub_clusters", (None,))[0] or 0.0) > Thresholds().over_granularity
    json.dumps(diagnosis.to_dict(), allow_nan=False)


@given(STORED, st.floats(0.0, 0.5), st.floats(0.0, 0.5))
@settings(max_examples=100, deadline=None)
def test_a_stricter_limit_never_clears_a_space_of_overfitting(
    stored: dict[str, Any], first: float, second: float
) -> None:
    table = table_of(stored)
    order = ["no overfitting", "inconclusive", "overfitting"]
    strict, lax = (
        judge(table, thresholds={"overfitting_gap": limit}).overfitting.verdict for limit in sorted((first, second))
    )
    assert order.index(strict) >= order.index(lax)


@pytest.fixture(scope="module")
def space() -> EmbeddingSet:
    return draw_space(SpaceRecipe(islands=4, classes=6, per_class=48, dims=32), seed=5)


def verdicts(embeddings: EmbeddingSet) -> tuple[str, ...]:
    return tuple(finding.verdict for _, finding in diagnose(embeddings))


def test_verdicts_do_not_depend_on_scale_rotation_or_the_names_of_classes(space: EmbeddingSet) -> None:
    expected = verdicts(space)
    assert expected == ("over-clustered", "inconclusive", "not collapsed")
    turn = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(0))).Q
    order = torch.randperm(len(space), generator=torch.Generator().manual_seed(1))
    assert space.labels is not None
    assert space.views is not None
    turned = replace(space, features=1000 * space.features @ turn, views=1000 * space.views @ turn)
    assert verdicts(replace(turned.select(order), labels=100 - 3 * space.labels[order])) == expected


def test_thresholds_are_shown_as_they_were_used(space: EmbeddingSet) -> None:
    used = Thresholds(split_marked=1.0, split_severe=1.0)
    finding = diagnose(space, thresholds=used).over_clustering
    assert (finding.verdict, finding.severity) == ("over-clustered", "mild")
    assert finding.thresholds["split_severe"] == 1.0
