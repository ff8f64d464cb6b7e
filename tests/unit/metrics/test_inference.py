"""Intervals and paired tests: against theory, against simulation, and on what must not happen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.metrics.inference import compare, holm, mcnemar, paired_test, with_interval
from repdiag.metrics.inference.means import (
    difference_interval,
    mean_estimate,
    share_interval,
    two_roles,
)
from repdiag.metrics.inference.pairs import pair_mean_estimate
from repdiag.metrics.inference.resampling import Rows, halves, units_of
from repdiag.metrics.inference.with_interval import is_share
from repdiag.metrics.registry import get, load_all

TRIALS = 400


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def covers(hits: int, trials: int = TRIALS) -> bool:
    """Say whether the share of hits is one that a true coverage of 95 % gives in all but one case of a thousand."""
    return bool(binomtest(hits, trials, 0.95).pvalue > 1e-3)


def test_rows_without_labels_give_the_interval_of_a_mean() -> None:
    parts = torch.randn(40, generator=generator(0), dtype=torch.float64)
    found = mean_estimate(parts, None)
    assert found.error == pytest.approx(float(parts.std()) / math.sqrt(40))
    assert found.freedom == 39


def test_the_levels_of_fixed_classes_are_no_error_of_the_mean() -> None:
    """Rows of each class vary about its level: only that counts, with one degree of freedom less for each class."""
    labels = torch.arange(4).repeat_interleave(30)
    noise = torch.randn(120, generator=generator(1), dtype=torch.float64)
    within = torch.stack([part.var() for part in noise.split(30)]).mean()
    for levels in (torch.zeros(4), torch.tensor([0.0, 5.0, -3.0, 40.0])):
        found = mean_estimate(levels[labels] + noise, labels)
        assert found.error == pytest.approx(math.sqrt(float(within) / 120))
        assert found.freedom == 116


def test_classes_whose_sizes_came_out_by_chance_are_no_strata() -> None:
    parts, labels = torch.randn(40, generator=generator(2)), torch.arange(40) % 4
    assert mean_estimate(parts, labels).freedom == 36
    labels[:12] = 3
    assert mean_estimate(parts, labels).error == pytest.approx(mean_estimate(parts).error)
    nearly = torch.arange(104) // 26
    nearly[25] = 1
    assert mean_estimate(torch.randn(104, generator=generator(3)), nearly).freedom == 100


def test_classes_that_were_drawn_count_as_one_each() -> None:
    """Each class answers with one number: the error is that of the class means, however many rows repeat them."""
    answers = torch.randn(12, generator=generator(1), dtype=torch.float64)
    labels = torch.arange(12).repeat_interleave(30)
    found = mean_estimate(answers[labels], labels, groups=labels)
    assert found.error == pytest.approx(float(answers.std()) / math.sqrt(12))
    assert (found.freedom, found.method) == (11, "classes resampled, gallery fixed")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_without_variation_still_has_an_interval(share: float) -> None:
    low, high = share_interval(mean_estimate(torch.full((50,), share), None), rows=50)
    assert 0.0 <= low <= share <= high <= 1.0
    assert 0.05 < high - low < 0.1


def test_leave_one_out_of_a_pair_mean_agrees_with_leaving_rows_out() -> None:
    rows = torch.randn(15, 3, generator=generator(3), dtype=torch.float64)

    def pair_mean(kept: torch.Tensor) -> float:
        potentials = torch.exp(-torch.pdist(kept).square())
        return float(potentials.mean())

    kernel = torch.exp(-torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square())
    per_row = (kernel.sum(dim=1) - 1.0) / 14
    every = np.array([pair_mean(rows[torch.arange(15) != left]) for left in range(15)])
    for value, leave in ((pair_mean(rows), every), (math.log(pair_mean(rows)), np.log(every))):
        assert pair_mean_estimate(value, per_row).error == pytest.approx(math.sqrt(14 * np.var(leave)), rel=1e-9)


def test_parts_that_do_not_average_to_the_value_are_refused() -> None:
    with pytest.raises(MetricError, match="average to the value"):
        pair_mean_estimate(3.0, torch.tensor([1.0, 1.0, 1.1]))


def test_halves_hold_half_of_every_class_and_no_row_twice() -> None:
    labels = torch.arange(7).repeat_interleave(torch.arange(2, 9))
    for half in halves(Rows(count=len(labels), labels=labels), seed=0, replicates=10):
        assert len(np.unique(half)) == len(half)
        share = np.bincount(labels.numpy()[half], minlength=7) - torch.bincount(labels).numpy() / 2
        assert np.abs(share).max() <= 0.5


def test_intervals_of_class_means_cover_when_classes_are_drawn() -> None:
    """Twelve classes drawn with their own level, rows about it: 95 % of the intervals hold the common mean."""
    hits = 0
    labels = torch.arange(12).repeat_interleave(20)
    for trial in range(TRIALS):
        levels = torch.randn(12, generator=generator(trial), dtype=torch.float64)
        parts = levels[labels] + torch.randn(240, generator=generator(10_000 + trial), dtype=torch.float64)
        low, high = mean_estimate(parts, labels, groups=labels).interval()
        hits += low <= 0.0 <= high
    assert covers(hits)


def test_ignoring_the_classes_would_not_cover() -> None:
    hits = 0
    labels = torch.arange(12).repeat_interleave(20)
    for trial in range(100):
        parts = torch.randn(12, generator=generator(trial))[labels] + torch.randn(240, generator=generator(trial))
        low, high = mean_estimate(parts, None).interval()
        hits += low <= 0.0 <= high
    assert hits < 60


@pytest.mark.parametrize("classes", [6, 30])
def test_a_mean_over_queries_less_one_over_pairs_has_the_error_of_leaving_classes_out(classes: int) -> None:
    """Rows of one direction a class, so that pairs within classes do not vary: the jackknife then is met exactly.

    Without class c the pairs of the others remain; mean_i p_i - mean_{i<j} cos is worked out anew for each c.
    """
    rows = torch.nn.functional.normalize(0.7 + torch.randn(classes, 5, generator=generator(3), dtype=torch.float64))
    labels = torch.arange(classes).repeat_interleave(20)
    positives = torch.rand(classes, generator=generator(4), dtype=torch.float64)

    def value(kept: torch.Tensor) -> float:
        cosines, some = rows[labels[kept]] @ rows[labels[kept]].T, int(kept.sum())
        return float(positives[labels[kept]].mean() - (cosines.sum() - some) / (some * (some - 1)))

    without = torch.tensor([value(labels != number) for number in range(classes)], dtype=torch.float64)
    jackknife = float(((classes - 1) * without.var(correction=0)).sqrt())
    random = ((rows @ rows.T)[labels][:, labels].sum(dim=1) - 1) / (len(labels) - 1)
    parts = positives[labels] - random
    influence = parts - (random - random.mean())
    weighed = two_roles(parts, influence, groups=labels)
    assert mean_estimate(weighed, labels, groups=labels).error == pytest.approx(jackknife, rel=0.01)
    assert mean_estimate(influence, labels, groups=labels).error < 0.98 * jackknife
    assert float(weighed.mean()) == pytest.approx(value(labels >= 0))


@pytest.mark.parametrize(("name", "trials"), [("uniformity", 150), ("intra_class_distance", 50), ("rankme", 50)])
def test_intervals_cover_the_expected_value_at_this_number_of_rows(name: str, trials: int) -> None:
    """Fresh rows around fixed class centres; the truth is the mean over all trials, whose own error is small."""
    metric = get(name)
    centres = torch.randn(6, 5, generator=generator(0), dtype=torch.float64)
    labels = torch.arange(6).repeat_interleave(30)
    found = []
    for trial in range(trials):
        noise = torch.randn(180, 5, generator=generator(trial + 1), dtype=torch.float64)
        data = {"features": centres[labels] + noise, "labels": labels}
        arguments = {key: value for key, value in data.items() if key in metric.takes}
        found.append(with_interval(metric, metric.function(**arguments), arguments, labels=labels, seed=trial))
    truth = sum(float(value) for value in found) / trials
    hits = sum(value.ci_low <= truth <= value.ci_high for value in found)
    assert covers(hits, trials)
    assert sum(value.ci_low <= truth * 1.2 <= value.ci_high for value in found) < 0.5 * trials


@pytest.mark.parametrize(("parts", "share"), [((0.0, 1.0, 1.0), True), ((0.0, 0.5, 1.0), False), ((0.5, 0.5), False)])
def test_a_share_is_a_mean_of_nothing_but_zeros_and_ones(parts: tuple[float, ...], share: bool) -> None:
    metric = get("precision_at_1")
    value = MetricValue(value=sum(parts) / len(parts), n=len(parts), per_row=torch.tensor(parts))
    assert is_share(metric, value) == share


def test_a_value_that_has_no_interval_to_give_comes_back_as_it_is() -> None:
    metric = get("rankme")
    null = undefined("nothing there", n=3)
    assert with_interval(metric, null, {}) is null
    own = MetricValue(value=1.0, n=3, ci_low=0.5, ci_high=2.0, ci_method="its own")
    assert with_interval(metric, own, {}) is own


def test_the_interval_of_nc1_is_that_of_its_reciprocal_turned_over() -> None:
    """Symmetric about 1 / value, so long upwards; a class structure that is nearly gone has none of that form."""
    metric, labels = get("nc1"), torch.arange(6).repeat_interleave(20)
    centres = 3.0 * torch.eye(6, 4, dtype=torch.float64)
    rows = centres[labels] + torch.randn(120, 4, generator=generator(1), dtype=torch.float64)
    arguments = {"features": rows, "labels": labels}
    found = with_interval(metric, metric.function(**arguments), arguments, labels=labels)
    low, high = float(found.ci_low), float(found.ci_high)
    assert 1 / low - 1 / float(found) == pytest.approx(1 / float(found) - 1 / high, rel=1e-9)
    assert high - float(found) > float(found) - low > 0.0
    noise = {"features": rows[torch.randperm(120, generator=generator(2))], "labels": labels}
    drowned = with_interval(metric, metric.function(**noise), noise, labels=labels)
    assert math.isfinite(float(drowned.ci_high))


def test_only_classes_of_equal_size_hold_the_rows_of_a_spectrum_to_their_numbers() -> None:
    equal, unequal = torch.arange(4).repeat_interleave(5), torch.tensor([0] * 5 + [1] * 2)
    assert units_of(get("rankme"), equal, None, rows=20).labels is equal
    assert units_of(get("rankme"), unequal, None, rows=7).labels is None
    assert units_of(get("cdnv"), unequal, None, rows=7).labels is unequal


def test_clusterings_report_seeds_and_half_samples() -> None:
    metric = get("ami")
    rows = torch.eye(6).repeat_interleave(20, dim=0) + 0.2 * torch.randn(120, 6, generator=generator(5))
    labels = torch.arange(3).repeat_interleave(40)
    arguments = {"features": rows, "labels": labels, "clusters": 6}
    found = with_interval(metric, metric.function(**arguments), arguments, labels=labels)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < float(found) < found.ci_high
    assert "k-means seeds" in str(found.ci_method)
    assert "half-samples" in str(found.ci_method)


def test_mcnemar_is_the_sign_test_of_the_rows_that_differ() -> None:
    """8 wins, 2 losses: 2 (C(10,0) + C(10,1) + C(10,2)) / 2^10 = 112 / 1024."""
    first = torch.tensor([1.0] * 8 + [0.0] * 2 + [1.0] * 30)
    second = torch.tensor([0.0] * 8 + [1.0] * 2 + [1.0] * 30)
    assert mcnemar(first, second) == pytest.approx(112 / 1024)
    assert paired_test(first, second).method == "McNemar, exact"
    assert mcnemar(first, first) == 1.0


def test_equally_good_checkpoints_are_called_different_at_most_one_time_in_twenty() -> None:
    """Classes that are drawn go up and down together: over classes the test keeps its level, over rows it does not."""
    labels, clustered, by_row = torch.arange(10).repeat_interleave(40), 0, 0
    for trial in range(TRIALS):
        ease = 0.5 + 0.3 * torch.randn(2, 10, generator=generator(trial))[:, labels]
        hits = (torch.rand(2, 400, generator=generator(trial + 5_000)) < ease).double()
        clustered += paired_test(hits[0], hits[1], labels=labels, groups=labels).p_value <= 0.05
        by_row += paired_test(hits[0], hits[1]).p_value <= 0.05
    assert binomtest(clustered, TRIALS, 0.05, alternative="greater").pvalue > 1e-3
    assert by_row > 3 * clustered


def test_fixed_classes_that_gain_and_lose_in_equal_parts_are_no_difference() -> None:
    """Two classes gain .3, two lose it: with these classes fixed the checkpoints are equally good."""
    labels, called = torch.arange(4).repeat_interleave(60), {"hits": 0, "scores": 0}
    for trial in range(TRIALS):
        ease = 0.5 + torch.tensor([0.15, 0.15, -0.15, -0.15])[labels]
        hits = torch.rand(2, 240, generator=generator(trial)) < torch.stack([ease, 1.0 - ease])
        scores = torch.randn(2, 240, generator=generator(trial), dtype=torch.float64) + torch.stack([ease, 1.0 - ease])
        called["hits"] += paired_test(*hits.double(), labels=labels).p_value <= 0.05
        called["scores"] += paired_test(*scores, labels=labels).p_value <= 0.05
    assert all(binomtest(count, TRIALS, 0.05, alternative="greater").pvalue > 1e-3 for count in called.values())
    assert called["scores"] > 5


@pytest.mark.parametrize("classes", [2, 5, 6, 7])
@pytest.mark.parametrize("name", ["precision_at_1", "r_precision", "alignment"])
def test_few_classes_suffice_to_tell_a_large_difference(classes: int, name: str) -> None:
    """Twice two of two signs give no p below .5, twice those of five none below .06: the rows have to speak."""
    metric, labels = get(name), torch.arange(classes).repeat_interleave(40)
    centres = torch.eye(classes, 8, dtype=torch.float64)[labels]
    noise = torch.randn(2, len(labels), 8, generator=generator(0), dtype=torch.float64)
    given = []
    for spread in (0.35, 0.9):
        features = centres + spread * noise[0]
        data = {"features": features, "labels": labels, "views": (features + 0.5 * spread * noise[1])[None]}
        given.append({key: value for key, value in data.items() if key in metric.takes})
    found = compare(metric, *given, labels=labels)
    assert found is not None
    assert found.p_value < 0.01
    assert found.ci_low * found.ci_high > 0.0


def test_a_real_difference_is_found() -> None:
    labels = torch.arange(10).repeat_interleave(40)
    first = torch.randn(400, generator=generator(0), dtype=torch.float64)
    found = paired_test(first + 0.5, first, labels=labels)
    assert found.p_value < 0.01
    assert found.ci_low > 0.4


def test_compare_sees_what_two_checkpoints_have_in_common() -> None:
    """A tenth of a percent between two encoders of the same rows, far below the interval of either alone."""
    metric, labels = get("intra_class_distance"), torch.arange(5).repeat_interleave(30)
    rows = torch.randn(5, 4, generator=generator(1), dtype=torch.float64)[labels]
    rows = rows + 0.5 * torch.randn(150, 4, generator=generator(2), dtype=torch.float64)
    arguments = [
        {"features": rows, "labels": labels},
        {"features": rows * torch.tensor([1, 1, 1, 1.02]), "labels": labels},
    ]
    found = compare(metric, *arguments, labels=labels)
    alone = with_interval(metric, metric.function(**arguments[0]), arguments[0], labels=labels)
    assert found is not None
    assert alone.ci_low is not None
    assert alone.ci_high is not None
    assert found.ci_high - found.ci_low < 0.2 * (alone.ci_high - alone.ci_low)
    same = compare(metric, arguments[0], arguments[0], labels=labels)
    assert same is not None
    assert (same.difference, same.p_value) == (0.0, 1.0)


def encoded(seed: int) -> tuple[dict[str, torch.Tensor], ...]:
    """Twelve overlapping classes through two encoders that add unlike noise of one size."""
    labels = torch.arange(12).repeat_interleave(10)
    rows = torch.randn(12, 6, generator=generator(seed))[labels] + 0.8 * torch.randn(120, 6, generator=generator(-seed))
    noise = 0.5 * torch.randn(2, 120, 6, generator=generator(seed + 1_000))
    return tuple({"features": rows + each, "labels": labels} for each in noise)


def test_rows_that_search_one_another_are_less_sure_than_a_fixed_gallery() -> None:
    """A row that moves changes what others find: halves that share no row show it."""
    metric, arguments = get("r_precision"), encoded(1)
    labels = arguments[0]["labels"]
    values = [metric.function(**each).per_row for each in arguments]
    assert values[0] is not None
    assert values[1] is not None
    by_row, found = paired_test(values[0], values[1], labels=labels), compare(metric, *arguments, labels=labels)
    assert found is not None
    assert found.ci_low < by_row.ci_low < found.difference < by_row.ci_high < found.ci_high
    assert "splits into halves" in found.method


def test_ranks_of_first_hits_are_judged_by_blocks_left_out_as_well() -> None:
    """They vary less with the number of rows than halves assume."""
    (first, second), metric = encoded(3), get("mean_reciprocal_rank")
    found = compare(metric, first, second, labels=first["labels"])
    assert found is not None
    assert "jackknife over 30 blocks" in found.method


def test_a_checkpoint_does_not_differ_from_itself() -> None:
    one = encoded(2)[0]
    found = compare(get("precision_at_1"), one, one, labels=one["labels"])
    assert found is not None
    assert (found.difference, found.p_value) == (0.0, 1.0)


def test_a_gallery_that_cannot_be_halved_is_said_to_be_shared() -> None:
    """Two rows a class and no classes to keep whole: some half has no class of two rows."""
    metric, labels = get("precision_at_1"), torch.tensor([0, 0, 1, 1, 2, 2])
    rows = torch.randn(2, 6, 3, generator=generator(8))
    found = compare(metric, *({"features": each, "labels": labels} for each in rows), labels=labels)
    assert found is not None
    assert "the gallery is shared" in found.method


def test_metrics_whose_rows_search_one_another_for_their_class_are_judged_by_halves() -> None:
    own = {name for name, each in load_all().items() if each.interval == "halves"}
    assert own >= {"precision_at_1", "r_precision", "map_at_r", "mean_average_precision", "mean_reciprocal_rank"}
    assert own >= {"locality", "mutual_knn", "neighbor_jaccard"}
    assert not own & {"knn_accuracy", "best_nn", "alignment", "alignment_margin", "instance_discrimination_accuracy"}


def test_holm_steps_down() -> None:
    """3 x .01, then 2 x .02, then max with 1 x .03: the worked example of the step-down rule."""
    assert holm([0.02, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@pytest.mark.parametrize(("rows", "reach"), [(20, 0.161), (2000, 0.0019)])
def test_rows_that_all_agree_are_no_certainty_least_of_all_where_they_are_few(rows: int, reach: float) -> None:
    every, none = torch.ones(rows), torch.zeros(rows)
    low, high = difference_interval(every, every)
    assert low == -high
    assert high == pytest.approx(reach, rel=0.15)  # Wilson's: z^2 / (n + z^2), with Student's t for few rows
    low, high = difference_interval(every, none)
    assert high == 1.0
    assert 1.0 - low == pytest.approx(2.0**0.5 * reach, rel=0.15)


def test_the_difference_of_two_unlike_sets_covers_zero_when_there_is_none() -> None:
    hits = 0
    for trial in range(TRIALS):
        first = torch.randn(20, generator=generator(trial), dtype=torch.float64)
        second = 3.0 * torch.randn(60, generator=generator(trial + 9_000), dtype=torch.float64)
        low, high = difference_interval(first, second)
        hits += low <= 0.0 <= high
    assert covers(hits)
