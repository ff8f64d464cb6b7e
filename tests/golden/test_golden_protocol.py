"""`--protocol shi2022`: one evaluation gives the numbers of the published code, each against its golden value."""

from __future__ import annotations

import pytest
import torch
from golden_sets import RELATIVE, SETS, golden_set

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import UsageError
from repdiag.metrics.evaluate import evaluate

CODES = {"original-view": "d-sd", "view-view": "sd-sd"}


@pytest.mark.parametrize("name", SETS)
def test_the_protocol_gives_the_numbers_of_ssl_small(name: str) -> None:
    data = golden_set(name)
    rows = EmbeddingSet(features=data.arrays["features"], views=data.arrays["views"], labels=data.labels)
    bank = EmbeddingSet(features=data.arrays["train_features"], labels=data.arrays["train_labels"])
    table = evaluate(rows, protocol="shi2022", bank=bank, seed=11, intervals=False)
    for pair, code in CODES.items():
        assert table.value(metric="alignment", pair=pair) == pytest.approx(
            data.value(f"ssl_small/alignment/{code}"), rel=RELATIVE
        )
        for k in range(1, 6):
            published = data.value(f"ssl_small/instance_discrimination/{code}/top{k}")
            found = table.value(metric="instance_discrimination_accuracy", pair=pair, k=k)
            assert 100 * found == pytest.approx(published, rel=RELATIVE)
    intra = data.value("ssl_small/intra_class_alignment_by_label/original")
    assert table.value(metric="intra_class_distance") == pytest.approx(intra, rel=RELATIVE)
    for normalize, code in ((False, "original"), (True, "norm")):
        row = table.one(metric="best_nn", normalize=normalize)
        published = data.value(f"ssl_small/best_nn/{code}")
        assert (row.value, row.extra["k"]) == (pytest.approx(published["best_acc"], rel=RELATIVE), published["best_k"])
    # Their uniformity is a draw: ours lies among those of two hundred seeds, and the seed is on record.
    draws, row = data.value("ssl_small/uniformity_3x128/original"), table.one(metric="uniformity_subsampled")
    assert draws["min"] <= row.value <= draws["max"]
    assert row.seed == 11


def test_what_a_protocol_cannot_measure_is_null_with_the_reason() -> None:
    rows = EmbeddingSet(features=torch.eye(8).repeat(50, 1), labels=torch.arange(400) % 8)
    table = evaluate(rows, protocol="shi2022", intervals=False)
    assert table.one(metric="pretext_gap", pair="view-view").reason == "needs views, other_features, other_views"
    assert table.value(metric="uniformity_subsampled") is not None
    assert "uniformity" not in table.names()


def test_a_misspelt_protocol_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="shi2022"):
        evaluate(EmbeddingSet(features=torch.eye(3)), protocol="shi2020")
