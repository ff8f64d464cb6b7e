"""The verdict on drift, on pairs whose kind follows from how they were made."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError, UsageError
from repdiag.diagnosis.drift.measure import measure_drift
from repdiag.diagnosis.drift.thresholds import DriftThresholds
from repdiag.diagnosis.drift.verdict import judge_drift

ROWS, DIMS, CLASSES = 300, 16, 5


def noise(seed: int, dims: int = DIMS) -> Tensor:
    return torch.randn(ROWS, dims, generator=torch.Generator().manual_seed(seed))


LABELS = torch.arange(ROWS) % CLASSES
CLEAR = 4.0 * torch.eye(DIMS)[LABELS] + noise(0)
TURN = torch.linalg.qr(noise(1)[:DIMS]).Q
CASES = {
    "itself": (CLEAR, "same space"),
    "rounding": (CLEAR + 1e-5 * noise(2), "same space"),
    "another scale": (3.0 * CLEAR, "same space"),
    "a rotation": (CLEAR @ TURN, "same neighbourhoods, re-index"),
    "a wider space": (torch.cat([CLEAR, torch.zeros(ROWS, 4)], dim=1), "same neighbourhoods, re-index"),
    "other images of the classes": (CLEAR[torch.arange(ROWS).roll(CLASSES)], "same classes, other neighbours"),
    "some noise": (CLEAR + 0.3 * noise(3), "same classes, other neighbours"),
    "no classes": (noise(4), "changed"),
}


def judged(new: Tensor, *, labels: Tensor | None = LABELS, old: Tensor = CLEAR):
    first, second = (EmbeddingSet(features=one, labels=labels) for one in (old, new))
    return judge_drift(measure_drift(first, second, intervals=False))


@pytest.mark.parametrize("name", CASES)
def test_a_pair_of_known_kind_is_called_by_its_kind(name: str) -> None:
    new, expected = CASES[name]
    found = judged(new)
    assert found.verdict == expected
    assert found.reasons
    assert found.advice


def test_without_classes_only_what_neighbours_say_is_said() -> None:
    assert judged(CLEAR, labels=None).verdict == "same space"
    assert judged(CLEAR + 0.3 * noise(3), labels=None).verdict == "other neighbours"
    assert judged(noise(4), labels=None).verdict == "changed"


def test_classes_that_the_old_encoder_does_not_find_judge_nothing() -> None:
    found = judged(noise(5) + 0.3 * noise(6), old=noise(5))
    assert found.verdict == "other neighbours"
    assert "classes cannot judge this pair" in found.reasons[-1]


def test_the_same_space_is_never_said_where_more_than_one_nearest_in_fifty_changed() -> None:
    """Rows are swapped in pairs, one pair more at a time: each swap changes nearest rows by a few."""
    for count in (0, 2, 4, 8, 16, 32):
        order = torch.arange(ROWS)
        order[:count] = torch.arange(count).roll(count // 2 or 1) if count else order[:0]
        first, second = (EmbeddingSet(features=one, labels=LABELS) for one in (CLEAR, CLEAR[order]))
        numbers = measure_drift(first, second, intervals=False)
        kept = numbers.value("neighbors_kept", k=1)
        assert kept is not None
        if kept < 0.98:
            assert judge_drift(numbers).verdict != "same space"
        if count == 0:
            assert judge_drift(numbers).verdict == "same space"


def test_rows_are_listed_with_what_they_found_before_and_after() -> None:
    old = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [-1.0, 0.2]])
    new = old.clone()
    new[1] = torch.tensor([0.05, 1.0])
    numbers = measure_drift(EmbeddingSet(features=old), EmbeddingSet(features=new), intervals=False)
    moved = numbers.rows.set_index("row_id").loc[1]
    assert not moved.nearest_kept
    assert (moved.old_nearest, moved.new_nearest) == (0, 2)
    assert moved["rank"] == 4  # after rows 2, 3 and 4
    assert numbers.per_class is None


def test_lengths_of_vectors_are_measured_beside_their_directions() -> None:
    old = EmbeddingSet(features=CLEAR)
    assert measure_drift(old, EmbeddingSet(features=2.5 * CLEAR), intervals=False).length_ratio == pytest.approx(2.5)


def test_thresholds_move_by_name_and_typos_get_the_nearest() -> None:
    first, second = (EmbeddingSet(features=one, labels=LABELS) for one in (CLEAR, CLEAR + 0.3 * noise(3)))
    numbers = measure_drift(first, second, intervals=False)
    lax = DriftThresholds().with_changes(
        {"same_nearest": 0.1, "cross_found": 0.1, "kept_nearest": 0.1, "kept_ten": 0.1}
    )
    assert judge_drift(numbers, lax).verdict == "same space"
    with pytest.raises(UsageError, match="same_nearest"):
        DriftThresholds().with_changes({"same_nearst": 0.9})
    with pytest.raises(MetricError, match="four rows"):
        measure_drift(first.select([0, 1]), second.select([0, 1]))
