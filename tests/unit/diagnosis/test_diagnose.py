"""Verdicts on spaces whose truth is known by construction."""

from __future__ import annotations

import pytest
import torch

import repdiag
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.core.provenance import Provenance
from repdiag.diagnosis.diagnose import judge
from repdiag.diagnosis.galleries import equal_galleries, whole_galleries
from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space

ACCURACY, TOP_1 = "instance_discrimination_accuracy", {"pair": "original-view", "k": 1}
SMALL = {"classes": 6, "per_class": 40, "dims": 32}


@pytest.mark.parametrize(
    ("recipe", "verdict"),
    [
        ({"islands": 4}, "over-clustered"),
        ({"islands": 4, "kinship": 0.5}, "over-clustered"),
        ({"islands": 1}, "not over-clustered"),
        ({"islands": 1, "merged": 2}, "under-clustered"),
        ({"islands": 4, "within": 10.0}, "inconclusive"),
    ],
)
def test_granularity_put_in_is_read_out(recipe: dict[str, float], verdict: str) -> None:
    space = draw_space(SpaceRecipe(**SMALL, **recipe), seed=1)
    assert repdiag.diagnose(space).over_clustering.verdict == verdict


@pytest.mark.parametrize(
    ("recipe", "kinds"),
    [
        ({"offset": 8.0}, ("cone",)),
        ({"offset": 1.0, "shrink": 1e-3}, ("complete", "cone")),
        ({"offset": 1.0, "shrink": 0.0}, ("complete", "cone")),
        ({"live_dims": 4}, ("dimensional",)),
        ({"offset": 1.0}, ()),
    ],
)
def test_collapse_put_in_is_read_out(recipe: dict[str, float], kinds: tuple[str, ...]) -> None:
    space = draw_space(SpaceRecipe(**SMALL, **recipe), seed=1)
    assert judge(repdiag.evaluate(space, ["mean_cosine", "singular_spectrum"])).collapse.kinds == kinds


@pytest.mark.parametrize(("forgotten", "verdict"), [(3.0, "overfitting"), (1.0, "no overfitting")])
def test_views_known_by_heart_are_overfitting(forgotten: float, verdict: str) -> None:
    recipe = SpaceRecipe(classes=6, per_class=100, dims=32, view=0.2, forgotten=forgotten)
    val, train = (draw_space(recipe, seed=1, split=split) for split in ("val", "train"))
    metrics = ["instance_discrimination_accuracy"]
    assert judge(repdiag.evaluate(val, metrics) + repdiag.evaluate(train, metrics)).overfitting.verdict == verdict
    assert judge(repdiag.evaluate(val, ["pretext_gap"], bank=train)).overfitting.verdict == verdict


def test_what_is_judged_of_the_gap_is_the_row_of_the_table() -> None:
    recipe = SpaceRecipe(classes=5, per_class=10, dims=8, view=0.5, forgotten=1.2)
    val, train = (draw_space(recipe, seed=1, split=split) for split in ("val", "train"))
    shown = repdiag.evaluate(val, [("pretext_gap", {"pair": "view-view", "k": 1})], bank=train).rows[0]
    judged = repdiag.diagnose(val, train=train).overfitting
    said = next(item for item in judged.evidence if item.params.get("pair") == "view-view")
    assert (said.value, said.ci_low, said.ci_high) == (shown.value, shown.ci_low, shown.ci_high)
    assert said.ci_method == shown.ci_method
    assert str(said.ci_method).startswith("difference of two sets")


@pytest.mark.parametrize(("rows", "verdict"), [(20, "inconclusive"), (500, "no overfitting")])
def test_rows_that_all_agree_decide_only_where_they_are_many(rows: int, verdict: str) -> None:
    sets = []
    for split in ("val", "train"):
        source = Provenance(checkpoint="a", dataset="drawn", split=split)
        sets.append(EmbeddingSet(features=torch.eye(rows), views=torch.eye(rows)[None], provenance=source))
    table = repdiag.evaluate(sets[0], [("pretext_gap", TOP_1)], bank=sets[1])
    finding = judge(table).overfitting
    assert finding.verdict == verdict
    assert (finding.evidence[0].ci_low, finding.evidence[0].ci_high) == (table.rows[0].ci_low, table.rows[0].ci_high)


def test_the_interval_of_the_gap_holds_the_truth_where_classes_are_unlike() -> None:
    """Equally known views of classes that are easy and hard: no gap; the levels of the classes widen no interval."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(10).repeat_interleave(30)
    centres, width = torch.randn(10, 16, generator=generator), torch.linspace(0.3, 1.5, 10)[:, None]
    held = 0
    for _ in range(40):
        sets = []
        for split in ("val", "train"):
            rows = centres[labels] + width[labels] * torch.randn(300, 16, generator=generator)
            views = rows + 0.6 * torch.randn(2, 300, 16, generator=generator)
            source = Provenance(checkpoint="a", dataset="drawn", split=split)
            sets.append(EmbeddingSet(features=rows, views=views, labels=labels, provenance=source))
        table = repdiag.evaluate(sets[0], [(name, TOP_1) for name in ("pretext_gap", ACCURACY)], bank=sets[1])
        alone = table.where(metric=ACCURACY) + repdiag.evaluate(sets[1], [(ACCURACY, TOP_1)])
        gap, by_parts = (judge(found).overfitting.evidence[0] for found in (table, alone))
        assert gap.ci_low is not None
        assert gap.ci_high is not None
        assert by_parts.ci_low is not None
        assert by_parts.ci_high is not None
        held += gap.ci_low <= 0.0 <= gap.ci_high
        assert gap.ci_high - gap.ci_low == pytest.approx(by_parts.ci_high - by_parts.ci_low, rel=0.03)
    assert held >= 37  # 95 % of 40 is 38


def test_galleries_are_cut_to_the_same_size_and_classes() -> None:
    smaller = draw_space(SpaceRecipe(**SMALL, imbalance=2.0), seed=1)
    larger = draw_space(SpaceRecipe(**{**SMALL, "per_class": 60}), seed=1, split="train")
    cut, same = equal_galleries(larger, smaller, seed=0)
    assert same is smaller
    assert cut.labels is not None
    assert smaller.labels is not None
    assert cut.labels.bincount().tolist() == smaller.labels.bincount().tolist()


def test_of_a_larger_set_whole_multiples_of_the_smaller_are_kept() -> None:
    """200 rows of each class against fewer of unlike number: as many times those as there are of all, at most four."""
    smaller = draw_space(SpaceRecipe(**SMALL, imbalance=2.0), seed=1)
    larger = draw_space(SpaceRecipe(**{**SMALL, "per_class": 200}), seed=1, split="train")
    kept, same = whole_galleries(larger, smaller, seed=0)
    assert kept.labels is not None
    assert smaller.labels is not None
    assert same is smaller
    counts = smaller.labels.bincount()
    times = min(4, 200 // int(counts.max()))
    assert times > 1
    assert kept.labels.bincount().tolist() == (times * counts).tolist()


def test_diagnose_makes_the_galleries_equal() -> None:
    larger = draw_space(SpaceRecipe(**{**SMALL, "per_class": 60}), seed=1, split="train")
    found = repdiag.diagnose(draw_space(SpaceRecipe(**SMALL), seed=1), train=larger).overfitting
    assert "differ in size" not in found.summary
    assert found.evidence[0].metric == "pretext_gap"


def test_an_encoder_is_indistinguishable_from_itself_and_better_than_noise() -> None:
    # Ten classes: with six, no pattern of their signs is rare enough after Holm's correction.
    space = draw_space(SpaceRecipe(classes=10, per_class=24, dims=32), seed=1)
    noise = EmbeddingSet(features=torch.randn(240, 32, generator=torch.Generator().manual_seed(0)), labels=space.labels)
    found = repdiag.diagnose(space, reference=space, untrained=noise).over_clustering
    by_what = {item.against_what: item for item in found.evidence if item.metric == "r_precision"}
    assert by_what["reference"].reading == "neutral"
    assert "indistinguishable" in by_what["reference"].sentence
    assert by_what["untrained copy"].reading == "against"
    assert by_what["untrained copy"].value > 0.5


def test_a_reference_on_other_rows_is_refused() -> None:
    space = draw_space(SpaceRecipe(**SMALL), seed=1)
    with pytest.raises(MetricError, match="not read on the same rows"):
        repdiag.diagnose(space, reference=space.select(range(100)))


def test_permuted_labels_are_part_of_the_evidence() -> None:
    found = repdiag.diagnose(draw_space(SpaceRecipe(**SMALL), seed=1)).over_clustering
    null = [item for item in found.evidence if "p_value" in item.params]
    assert {item.metric for item in null} == {"precision_at_1", "class_distance_ratio"}
    assert all(item.params["p_value"] == 0.01 for item in null)


def test_vectors_without_labels_are_judged_as_far_as_they_go() -> None:
    found = repdiag.diagnose(draw_space(SpaceRecipe(**SMALL), seed=1).features.numpy())
    assert found.over_clustering.verdict == "inconclusive"
    assert found.collapse.verdict == "not collapsed"
