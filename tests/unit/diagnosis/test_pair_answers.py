"""One answer a question of every two encoders; accuracy by the test that saw the most images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.diagnosis.checkpoint_pairs import COLUMNS
from repdiag.diagnosis.pair_answers import EncoderSets, accuracy_changes, pair_answers


def encoders() -> dict[str, EncoderSets]:
    labels = torch.arange(4).repeat_interleave(30)
    noise = torch.randn(120, 8, generator=torch.Generator().manual_seed(0))
    sets = EmbeddingSet(features=torch.eye(8)[labels] + 0.3 * noise, labels=labels)
    return {name: EncoderSets(val=sets, train=sets) for name in ("a", "b")}


def outcome(difference: float, low: float, high: float, p_value: float) -> pd.DataFrame:
    row = dict.fromkeys(COLUMNS, np.nan) | {"metric": "knn_accuracy", "first": "a", "second": "b", "method": "McNemar"}
    row |= {"first_value": 0.8, "second_value": 0.8 - difference, "difference": difference, "n": 5000}
    return pd.DataFrame([row | {"ci_low": low, "ci_high": high, "p_value": p_value}])


def test_accuracy_is_answered_by_the_test_on_all_queries() -> None:
    alone = pair_answers(encoders()).set_index("question").loc["accuracy"]
    assert alone["answer"] == "not told apart"
    tests = outcome(-0.014, -0.024, -0.004, 0.007)
    told = pair_answers(encoders(), known=accuracy_changes(tests)).set_index("question").loc["accuracy"]
    assert (told["answer"], told["size"], told["ci_low"]) == ("worse", -0.014, -0.024)
    assert told["p_holm"] == 4 * 0.007


def test_the_test_on_all_queries_counts_where_it_finds_nothing_too() -> None:
    far = encoders()
    far["b"] = EncoderSets(
        val=far["b"].val.__class__(features=-far["a"].val.features.flip(1), labels=far["a"].val.labels)
    )
    tests = outcome(0.0, -0.01, 0.01, 1.0)
    told = pair_answers(far, known=accuracy_changes(tests)).set_index("question").loc["accuracy"]
    assert told["answer"] == "not told apart"
    assert told["p_holm"] == 1.0
