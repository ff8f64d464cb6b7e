"""`EmbeddingSet` aligns its rows or refuses."""

import numpy as np
import pytest
import torch

from repdiag import EmbeddingSet
from repdiag.core.errors import MetricError


def make(rows: int = 4) -> EmbeddingSet:
    return EmbeddingSet(
        features=torch.arange(rows * 3.0).reshape(rows, 3),
        projections=torch.arange(rows * 2.0).reshape(rows, 2),
        labels=torch.arange(rows) % 2,
        views=torch.zeros(2, rows, 3),
        view_projections=torch.ones(2, rows, 2),
        row_ids=np.array([f"row-{i}" for i in range(rows)]),
    )


def test_row_ids_default_to_row_numbers():
    assert EmbeddingSet(features=torch.zeros(3, 2)).row_ids.tolist() == [0, 1, 2]


def test_select_keeps_every_field_aligned():
    picked = make().select([2, 0])
    assert picked.row_ids.tolist() == ["row-2", "row-0"]
    assert picked.features.tolist() == [[6.0, 7.0, 8.0], [0.0, 1.0, 2.0]]
    assert picked.labels.tolist() == [0, 0]
    assert picked.views.shape == (2, 2, 3)


def test_select_takes_a_boolean_mask():
    assert make().select(np.array([False, True, False, True])).row_ids.tolist() == ["row-1", "row-3"]


def test_in_space_makes_the_projections_the_features():
    inside = make().in_space("projections")
    assert inside.features.shape == (4, 2)
    assert inside.views.shape == (2, 4, 2)
    assert inside.available() == ("features", "labels", "views")


def test_missing_projections_are_named():
    with pytest.raises(MetricError, match="no projections"):
        EmbeddingSet(features=torch.zeros(3, 2)).in_space("projections")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", torch.zeros(5, dtype=torch.long)),
        ("labels", torch.full((4,), 0.5)),
        ("projections", torch.zeros(5, 2)),
        ("views", torch.zeros(4, 3)),
        ("row_ids", np.arange(5)),
    ],
)
def test_misaligned_fields_are_refused(field, value):
    with pytest.raises(MetricError, match=field):
        EmbeddingSet(features=torch.zeros(4, 3), **{field: value})


def test_it_is_frozen():
    with pytest.raises(AttributeError):
        make().features = torch.zeros(1, 1)


def test_arrays_lists_and_text_labels_become_tensors_and_names():
    rows = np.arange(6, dtype=np.int8).reshape(3, 2)
    found = EmbeddingSet(features=rows, views=rows[None], labels=["dog", "cat", "dog"])
    assert found.features.dtype == found.views.dtype == torch.float32
    assert found.features.tolist() == rows.tolist()
    assert (found.labels.tolist(), found.class_names) == ([1, 0, 1], ("cat", "dog"))


def test_tensors_stay_the_ones_they_are():
    """Results are shared by where the rows lie, and a GPU's rows must not come back."""
    rows, labels = torch.zeros(3, 2, dtype=torch.float16), torch.arange(3)
    found = EmbeddingSet(features=rows, labels=labels)
    assert found.features is rows
    assert found.labels is labels


def test_names_must_be_enough_for_the_labels():
    rows = torch.zeros(3, 2)
    with pytest.raises(MetricError, match=r"name every label[\s\S]*label 2, 2 names"):
        EmbeddingSet(features=rows, labels=torch.arange(3), class_names=("a", "b"))
    with pytest.raises(MetricError, match="leave out class_names"):
        EmbeddingSet(features=rows, labels=["a", "b", "c"], class_names=("a", "b", "c"))


def test_a_negative_label_is_no_class_and_has_no_name():
    found = EmbeddingSet(features=torch.zeros(3, 2), labels=torch.tensor([-1, 0, 1]), class_names=("a", "b"))
    assert [found.class_name(label) for label in found.labels.tolist()] == ["-1", "a", "b"]
