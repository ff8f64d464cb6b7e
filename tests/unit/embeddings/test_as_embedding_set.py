"""Vectors come in through one door, whatever holds them."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from repdiag.core.errors import DataError
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.embeddings.store import save_embedding_set

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
LABELS = np.array([0, 1, 0, 1])


def files(folder):
    np.save(folder / "a.npy", ROWS)
    np.savez(folder / "a.npz", features=ROWS, labels=LABELS)
    save_file({"embeddings": torch.as_tensor(ROWS), "labels": torch.as_tensor(LABELS)}, folder / "a.safetensors")
    pd.DataFrame({"embedding": list(ROWS), "label": LABELS}).to_parquet(folder / "lists.parquet")
    pd.DataFrame({"d0": ROWS[:, 0], "d1": ROWS[:, 1], "d2": ROWS[:, 2], "label": LABELS}).to_parquet(
        folder / "columns.parquet"
    )
    return sorted(folder.iterdir())


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    for path in files(tmp_path):
        found = as_embedding_set(path)
        assert found.features.tolist() == ROWS.tolist(), path
        if path.suffix != ".npy":
            assert found.labels.tolist() == LABELS.tolist(), path


def test_it_is_idempotent_and_takes_arrays_and_stores(tmp_path):
    once = as_embedding_set(ROWS, labels=LABELS)
    assert as_embedding_set(once) is once
    save_embedding_set(once, tmp_path / "store")
    assert as_embedding_set(tmp_path / "store").features.tolist() == ROWS.tolist()


def test_text_labels_become_class_names():
    found = as_embedding_set(ROWS, labels=np.array(["dog", "cat", "dog", "cat"]))
    assert found.class_names == ("cat", "dog")
    assert found.labels.tolist() == [1, 0, 1, 0]


def test_labels_from_a_text_file(tmp_path):
    (tmp_path / "labels.txt").write_text("dog\ncat\ndog\ncat\n")
    assert as_embedding_set(ROWS, labels=tmp_path / "labels.txt").class_names == ("cat", "dog")


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot read"):
        as_embedding_set(tmp_path / "p.npy")


@pytest.mark.parametrize("name", ["missing.npy", "file.txt"])
def test_what_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(DataError, match=name):
        as_embedding_set(tmp_path / name)


def test_a_file_without_vectors_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "x.npz", weights=ROWS)
    with pytest.raises(DataError, match="weights"):
        as_embedding_set(tmp_path / "x.npz")
