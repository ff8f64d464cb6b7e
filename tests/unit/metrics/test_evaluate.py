"""`evaluate`: every need checked, nothing dropped, one pass a matrix, rows that say where they come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import repdiag
from repdiag import EmbeddingSet, Provenance
from repdiag.core.errors import MetricError, UsageError
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.metrics.breakdown import class_frame, row_frame
from repdiag.metrics.evaluate import evaluate
from repdiag.metrics.pairwise import passes
from repdiag.metrics.registry import load_all

ROWS = 40


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def embeddings(seed: int = 0, *, projected: bool = True, **changes) -> EmbeddingSet:
    features, projections = draw(seed, ROWS, 6), draw(seed + 1, ROWS, 4)
    fields = {
        "features": features,
        "labels": torch.arange(ROWS) % 4,
        "views": features + 0.3 * draw(seed + 2, 2, ROWS, 6),
        "projections": projections if projected else None,
        "view_projections": projections + 0.3 * draw(seed + 3, 2, ROWS, 4) if projected else None,
        "provenance": Provenance(checkpoint="some encoder", epoch=7, dataset="digits", split="val"),
    }
    return EmbeddingSet(**{**fields, **changes})


def test_rows_carry_where_they_come_from() -> None:
    row = evaluate(embeddings(), [("uniformity", {"t": 3.0})]).one(space="projections")
    assert (row.checkpoint, row.epoch, row.dataset, row.split) == ("some encoder", 7, "digits", "val")
    assert (row.metric, row.version, dict(row.params), row.n, row.seed) == ("uniformity", 1, {"t": 3.0}, ROWS, None)
    assert row.value is not None
    assert row.ci_low is not None
    assert row.ci_low < row.value < row.ci_high


def test_metrics_may_be_one_name_pairs_or_a_mapping() -> None:
    rows = draw(0, ROWS, 6)
    expected = evaluate(rows, [("uniformity", {"t": 3.0})], intervals=False)
    assert evaluate(rows, {"uniformity": {"t": 3.0}}, intervals=False) == expected
    assert evaluate(rows, [["uniformity", {"t": 3.0}]], intervals=False) == expected
    assert evaluate(rows, "uniformity", intervals=False) == evaluate(rows, ["uniformity"], intervals=False)
    for wrong in ([7], [("uniformity",)], [(max, {})]):
        with pytest.raises(UsageError, match=r"a metric is a name, or \(name, settings\)"):
            evaluate(rows, wrong)


def test_a_seed_of_its_own_is_the_one_in_the_table() -> None:
    wanted = [("minibatch_cka", {"batch_size": 16, "seed": 5}), ("minibatch_cka", {"batch_size": 16})]
    table = evaluate(draw(0, ROWS, 6), wanted, other=draw(1, ROWS, 4), seed=3, intervals=False)
    assert [(row.seed, row.params["seed"]) for row in table] == [(5, 5), (3, 3)]


def test_labels_may_come_beside_the_vectors() -> None:
    rows, names = draw(0, ROWS, 6).numpy(), [f"class {row % 4}" for row in range(ROWS)]
    table = evaluate(rows, "silhouette", labels=names, intervals=False)
    assert table == evaluate(as_embedding_set(rows, labels=names), "silhouette", intervals=False)
    assert table.one().value is not None


def test_both_spaces_are_read_where_there_are_projections() -> None:
    table = evaluate(embeddings(), ["alignment", "info_nce"], intervals=False)
    assert [(row.space, row.metric) for row in table] == [
        ("features", "alignment"),
        ("features", "alignment"),
        ("projections", "alignment"),
        ("projections", "alignment"),
        ("projections", "info_nce"),
    ]
    assert table.value(space="features", pair="view-view") != table.value(space="projections", pair="view-view")
    assert evaluate(embeddings(projected=False), ["alignment"], intervals=False).names("space") == ("features",)


@pytest.mark.parametrize(
    ("metric", "fields", "missing"),
    [
        ("alignment", {"views": None}, "views"),
        ("tolerance", {"labels": None}, "labels"),
        ("knn_accuracy", {}, r"other_features, other_labels[\s\S]*--bank"),
        ("linear_cka", {}, r"other_features[\s\S]*--other"),
        ("info_nce", {"projections": None, "view_projections": None}, "projections"),
    ],
)
def test_a_named_metric_says_what_it_misses(metric: str, fields: dict[str, None], missing: str) -> None:
    with pytest.raises(MetricError, match=f"{metric} needs {missing}"):
        evaluate(embeddings(**fields), [metric])


def test_a_misspelt_metric_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean: uniformity"):
        evaluate(embeddings(), ["uniformty"])
    with pytest.raises(AttributeError, match="did you mean: uniformity"):
        _ = repdiag.metrics.uniformty


def test_of_the_default_metrics_none_is_dropped() -> None:
    bare = EmbeddingSet(features=draw(0, ROWS, 6))
    table = evaluate(bare, intervals=False)
    assert set(table.names()) == {name for name, metric in load_all().items() if metric.default}
    reasons = {row.metric: row.reason for row in table if row.value is None}
    assert reasons["alignment"] == "needs views"
    assert reasons["knn_accuracy"] == "needs labels, other_features, other_labels"
    assert reasons["info_nce"] == "needs projections"
    assert table.value(metric="uniformity") is not None


def test_what_a_variant_cannot_do_is_a_row_with_a_reason() -> None:
    one_view = embeddings(projected=False, views=draw(9, 1, ROWS, 6))
    row = evaluate(one_view, intervals=False).one(metric="alignment", pair="view-view")
    assert row.reason == "the pair view-view needs two views of each row: 1"
    short = evaluate(embeddings(projected=False), ["knn_accuracy"], bank=embeddings(5), intervals=False)
    assert short.one(k=100).reason == f"k=100 is more than the {ROWS} rows of the bank"
    assert short.value(k=10) is not None


def test_damaged_rows_are_named_in_every_row() -> None:
    features = draw(0, ROWS, 6)
    features[11, 2] = torch.nan
    table = evaluate(EmbeddingSet(features=features), ["uniformity", "rankme", "hubness"])
    assert all("NaN or infinite values in 1 rows: rows 11" in str(row.reason) for row in table)


def test_the_gap_uses_the_views_of_the_bank() -> None:
    """Train views are nearly copies, val views noise: the gap is large and positive."""
    train = embeddings(projected=False)
    train = embeddings(projected=False, views=train.features + 1e-3 * draw(4, 2, ROWS, 6))
    val = embeddings(50, projected=False, views=draw(60, 2, ROWS, 6))
    row = evaluate(val, ["pretext_gap"], bank=train).one(pair="original-view")
    assert row.value is not None
    assert row.value > 0.8
    assert row.ci_low is not None
    assert row.ci_low > 0.5
    assert dict(row.extra)["bank_accuracy"] == 1.0


def test_a_second_encoder_must_have_read_the_same_rows() -> None:
    ids = np.array([f"image {i}" for i in range(ROWS)])
    first, second = embeddings(row_ids=ids), embeddings(9, row_ids=ids)
    straight = evaluate(first, ["linear_cka"], other=second)
    shuffled = second.select(np.random.default_rng(0).permutation(ROWS))
    assert evaluate(first, ["linear_cka"], other=shuffled) == straight
    others = embeddings(9, row_ids=np.char.add(ids, "b"))
    with pytest.raises(MetricError, match=r"not read on the same rows[\s\S]*image 0"):
        evaluate(first, ["linear_cka"], other=others)


def test_one_pass_for_each_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Originals and view 1 as galleries, the bank in cosine and in Euclidean; TwoNN costs no pass of its own."""
    seen = []
    honest = passes._pass

    def counting(pairing, states, side):
        seen.append((type(pairing.left).__name__, pairing.symmetric))
        honest(pairing, states, side)

    def searching(pairing, wish, search=passes.search):
        seen.append((type(pairing.left).__name__, pairing.symmetric))
        return search(pairing, wish)

    monkeypatch.setattr(passes, "_pass", counting)
    monkeypatch.setattr(passes, "search", searching)
    names = [
        "uniformity",
        "instance_discrimination_accuracy",
        "precision_at_1",
        "r_precision",
        "map_at_r",
        "hubness",
        "two_nn_dimension",
        "knn_accuracy",
        "best_nn",
    ]
    evaluate(embeddings(projected=False), names, bank=embeddings(5, projected=False), intervals=False)
    unit, raw = "UnitRows", "RawRows"
    assert sorted(seen) == [(raw, False), (unit, False), (unit, True), (unit, True)]


def test_a_shared_evaluation_gives_the_values_of_single_calls() -> None:
    rows, bank = embeddings(projected=False), embeddings(5, projected=False)
    together = evaluate(rows, bank=bank, other=embeddings(9, projected=False), intervals=False)
    for row in together:
        metric = load_all()[row.metric]
        if metric.family in ("hypersphere", "pretext", "neighbors") and metric.second is None and row.value is not None:
            given = {name: getattr(rows, name) for name in metric.takes}
            assert metric.function(**given, **row.params).value == row.value


def test_parts_and_progress_are_at_hand() -> None:
    steps: list[tuple[int, int]] = []
    found = evaluate(
        embeddings(projected=False), ["alignment", "tolerance"], progress=lambda done, of: steps.append((done, of))
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert [row.metric for row in found] == ["alignment", "alignment", "tolerance"]
    assert float(found.per_row[1].mean()) == pytest.approx(found.rows[1].value)
    assert found.per_class[2].shape == (4,)


def test_the_seed_is_recorded_where_there_is_one() -> None:
    table = evaluate(embeddings(projected=False), [("ami", {"clusters": 4}), "uniformity"], seed=3, intervals=False)
    assert [(row.metric, row.seed) for row in table] == [("ami", 3), ("uniformity", None)]
    assert dict(table.rows[0].params)["seed"] == 3


def test_a_bank_that_lacks_a_class_is_matched_by_name() -> None:
    rows, labels = torch.eye(3).repeat(4, 1), ["cat", "dog", "owl"] * 4
    kept = [index for index, label in enumerate(labels) if label != "cat"]
    embeddings = as_embedding_set(rows, labels=labels)
    bank = as_embedding_set(rows[kept], labels=[labels[index] for index in kept])
    table = evaluate(embeddings, [("knn_accuracy", {"k": 1})], bank=bank)
    assert table.value(metric="knn_accuracy") == pytest.approx(2 / 3)


def test_arrays_are_enough() -> None:
    rows = torch.eye(4).repeat(3, 1)
    assert evaluate(rows.numpy(), ["rankme"]).value(metric="rankme") == pytest.approx(4.0, rel=1e-5)


def test_rows_alone_in_their_class_are_null_in_the_parts_and_the_others_keep_theirs() -> None:
    rows = torch.randn(31, 5, generator=torch.Generator().manual_seed(0))
    embeddings = EmbeddingSet(features=rows, labels=torch.tensor([0] * 15 + [1] * 15 + [2]))
    wanted = ["r_precision", "intra_class_distance", "tolerance", "cdnv", "hubness"]
    found = evaluate(embeddings, wanted, intervals=False)
    classes = class_frame(found, embeddings)
    for name in ("r_precision", "intra_class_distance", "tolerance"):
        values = classes[classes["metric"] == name].set_index("class_name")["value"]
        assert values.notna().tolist() == [True, True, False]
    assert classes[classes["metric"] == "cdnv"]["value"].notna().all()
    by_row = row_frame(found, embeddings)
    assert by_row[by_row["metric"] == "r_precision"]["row_id"].tolist() == list(range(30))
    assert by_row[by_row["metric"] == "hubness"]["value"].sum() == 31 * 10
