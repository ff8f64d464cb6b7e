"""A bank's classes are the rows' classes by name, however the two files number them."""

import numpy as np
import pytest

import repdiag
from repdiag.core.errors import DataError
from repdiag.embeddings.vector_inputs import read_inputs

CLASSES = np.array([2, 10, 33])
LABELS = CLASSES[np.arange(60) % 3]
ROWS = np.eye(8)[np.arange(60) % 3] + 0.01 * np.random.default_rng(0).normal(size=(60, 8))
VAL, TRAIN = np.arange(20), np.arange(20, 60)


def held(rows: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    return {"features": ROWS[rows], "labels": labels[rows]}


@pytest.mark.parametrize(("val", "train"), [(int, str), (str, int), (str, str), (int, int)])
def test_numbers_and_their_texts_are_the_same_classes(val: type, train: type) -> None:
    inputs = read_inputs(held(VAL, LABELS.astype(val)), bank=held(TRAIN, LABELS.astype(train)))
    assert inputs.bank is not None
    assert repdiag.evaluate(inputs.embeddings, ["best_nn"], bank=inputs.bank).value(metric="best_nn") == 1.0
    given = held(VAL, LABELS.astype(val)), held(TRAIN, LABELS.astype(train))
    assert repdiag.evaluate(given[0], ["best_nn"], bank=given[1]).value(metric="best_nn") == 1.0


def test_a_bank_without_a_class_of_the_rows_is_refused_and_a_class_it_lacks_is_said() -> None:
    names = np.array([f"tree {label}" for label in LABELS])
    with pytest.raises(DataError, match=r"no class in common[\s\S]*2, 10, 33 of the rows; tree 10, tree 2, tree 33"):
        read_inputs(held(VAL, LABELS), bank=held(TRAIN, names))
    with pytest.raises(DataError, match="no class in common"):
        repdiag.evaluate(held(VAL, LABELS), ["best_nn"], bank=held(TRAIN, names))
    inputs = read_inputs(held(VAL, LABELS), bank=held(TRAIN[LABELS[TRAIN] != 33], LABELS))
    assert (
        inputs.notes[-1] == "bank: 1 of 3 classes of the rows are not in it (33): no neighbour can share these classes."
    )
