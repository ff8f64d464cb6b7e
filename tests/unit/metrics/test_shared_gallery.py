"""Rows that are each other's gallery, read off one search of all of them; and gaps between two sets of images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from repdiag.metrics.inference import resampling, with_interval
from repdiag.metrics.inference.resampling import Rows, evaluate_rows, evaluator, halves
from repdiag.metrics.inference.shared_gallery import shared_gallery_estimate
from repdiag.metrics.registry import get


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def covers(hits: int, trials: int) -> bool:
    """Say whether the share of hits is one that a true coverage of 95 % gives in all but one case of a thousand."""
    return bool(binomtest(hits, trials, 0.95).pvalue > 1e-3)


@pytest.mark.parametrize("name", ["precision_at_1", "r_precision", "map_at_r", "locality"])
@pytest.mark.parametrize("sizes", ["equal", "unequal"])
def test_what_is_read_off_the_lists_of_all_rows_is_the_value_on_the_part(name: str, sizes: str) -> None:
    """Bit for bit but for the order of a sum: no part is searched again."""
    count = torch.full((6,), 30) if sizes == "equal" else torch.tensor([5, 12, 30, 40, 60, 33])
    labels = torch.arange(6).repeat_interleave(count)
    rows = torch.randn(6, 5, generator=generator(1))[labels] + torch.randn(180, 5, generator=generator(2))
    metric, arguments = get(name), {"features": rows, "labels": labels, "normalize": False}
    read = evaluator(metric, arguments)
    for half in halves(Rows(count=180, labels=labels), seed=0, replicates=4):
        expected = evaluate_rows(metric, arguments, half)
        assert read(half) == pytest.approx(expected, rel=1e-6)


def test_a_part_that_the_lists_do_not_reach_through_is_searched_anew() -> None:
    """Rows of one class alone: their lists hold rows of others, and too few of theirs."""
    labels = torch.arange(6).repeat_interleave(30)
    rows = torch.randn(180, 3, generator=generator(2))
    metric, arguments = get("r_precision"), {"features": rows, "labels": labels}
    assert metric.on_parts is not None
    part = np.flatnonzero(labels.numpy() < 1)
    assert metric.on_parts(**arguments)(part) is None
    assert evaluator(metric, arguments)(part) == 1.0


def test_many_rows_have_their_error_measured_on_some(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.arange(10).repeat_interleave(60)
    rows = torch.randn(10, 5, generator=generator(1))[labels] + torch.randn(600, 5, generator=generator(2))
    metric, sides = get("r_precision"), [{"features": rows, "labels": labels}]
    whole = shared_gallery_estimate(metric, sides, 0.5, labels=labels)
    monkeypatch.setattr(resampling, "MOST_ROWS", 200)
    some = shared_gallery_estimate(metric, sides, 0.5, labels=labels)
    assert whole is not None
    assert some is not None
    assert some.error == pytest.approx(whole.error, rel=0.4)
    assert some.method.endswith("of 200 rows")


def test_halves_of_many_rows_that_are_searched_anew_are_halves_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(2000, 6, generator=generator(3))
    metric, arguments = get("two_nn_dimension"), {"features": rows}
    value = metric.function(**arguments)
    whole = with_interval(metric, value, arguments)
    monkeypatch.setattr(resampling, "MOST_ROWS", 500)
    some = with_interval(metric, value, arguments)
    widths = [float(found.ci_high) - float(found.ci_low) for found in (whole, some)]
    assert widths[1] == pytest.approx(widths[0], rel=0.4)
    assert str(some.ci_method).endswith("of 500 rows")
    assert str(whole.ci_method).endswith("without replacement")


def two_sets(seed: int, *, gain: float = 0.0) -> dict[str, torch.Tensor]:
    """Eight classes, some of them hard on both sets; `gain` draws the rows of the bank to their centres."""
    labels = torch.arange(8).repeat_interleave(25)
    centres, spread = 1.5 * torch.eye(8, dtype=torch.float64)[labels], torch.linspace(0.3, 1.2, 8)[labels, None]
    noise = torch.randn(2, 200, 8, generator=generator(seed), dtype=torch.float64)
    found = {"features": centres + spread * noise[0], "other_features": centres + (1 - gain) * spread * noise[1]}
    return {**found, "labels": labels, "other_labels": labels}


@pytest.mark.parametrize("of", ["precision_at_1", "r_precision"])
def test_the_label_gap_has_the_interval_of_two_sets_of_images_of_the_same_classes(of: str) -> None:
    metric, hits, reach = get("label_gap"), 0, []
    for trial in range(60):
        arguments = {**two_sets(trial), "of": of}
        found = with_interval(metric, metric.function(**arguments), arguments, labels=arguments["labels"])
        hits += float(found.ci_low) <= 0.0 <= float(found.ci_high)
        reach.append(float(found.ci_high) - float(found))
    assert covers(hits, 60)
    seen = {**two_sets(0, gain=0.5), "of": of}
    found = with_interval(metric, metric.function(**seen), seen, labels=seen["labels"])
    assert float(found.ci_low) > 0.0
    drawn = with_interval(metric, metric.function(**seen), seen, labels=seen["labels"], groups=seen["labels"])
    assert drawn.ci_method == "differences of the classes, which were drawn"


@pytest.mark.parametrize("groups", [None, "scenes"])
def test_four_galleries_on_one_side_of_a_label_gap_count_for_its_interval(groups: str | None) -> None:
    """Independent galleries of one make have a quarter of the variance, those that share scenes no less than one."""
    metric, reach = get("label_gap"), {1: 0.0, 4: 0.0}
    for trial in range(5):
        parts = [two_sets(1000 * copy + trial) for copy in range(4)]
        for copies in reach:
            given = {
                name: torch.cat([part[name] for part in parts[:copies]]) if not name.startswith("other_") else value
                for name, value in parts[0].items()
            }
            scenes = None if groups is None else torch.arange(200).repeat(copies)
            found = with_interval(metric, metric.function(**given), given, labels=given["labels"], groups=scenes)
            reach[copies] += float(found.ci_high) - float(found.ci_low)
    expected = math.sqrt((1 + 1 / 4) / 2) if groups is None else 1.0
    assert reach[4] / reach[1] == pytest.approx(expected, abs=0.07)


def test_the_pretext_gap_has_the_interval_of_two_means_within_classes() -> None:
    data = two_sets(0)
    views = {"views": data["features"][None] + 0.4, "other_views": data["other_features"][None] + 0.1}
    arguments, metric = {**data, **views}, get("pretext_gap")
    value = metric.function(**arguments)
    found = with_interval(metric, value, arguments, labels=data["labels"])
    sides = [
        get("instance_discrimination_accuracy").function(data[key], views[name]).per_row
        for key, name in (("other_features", "other_views"), ("features", "views"))
    ]
    errors = [sum(float(part.var()) for part in side.split(25)) / 8 / 200 for side in sides if side is not None]
    assert float(found.ci_high) - float(found) == pytest.approx(1.9663 * math.sqrt(sum(errors)), rel=0.005)
