"""A set in several files is the set that it is in one."""

import numpy as np
import pandas as pd
import pytest
import torch

import repdiag
from repdiag.core import large_tensor
from repdiag.core.errors import DataError
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.embeddings.shards import name_of

ROWS = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
LABELS = np.array(["dog", "cat", "fox"])[np.arange(60) % 3]
# Unequal parts, and names that sort otherwise as text: part-10 before part-2.
PARTS = {"part-2": slice(0, 1), "part-3": slice(1, 40), "part-10": slice(40, 60)}


@pytest.mark.parametrize("wanted", ["", "part-*.npy"])
def test_parts_come_in_the_order_of_their_numbers(tmp_path, wanted):
    for name, rows in PARTS.items():
        np.save(tmp_path / f"{name}.npy", ROWS[rows])
    found = as_embedding_set(tmp_path / wanted, labels=LABELS)
    assert found.features.tolist() == ROWS.tolist()
    assert found.labels.tolist() == as_embedding_set(ROWS, labels=LABELS).labels.tolist()
    assert repdiag.evaluate(str(tmp_path / wanted), "uniformity") == repdiag.evaluate(ROWS, "uniformity")


def test_labels_views_and_row_names_go_with_their_parts(tmp_path):
    views = np.stack([ROWS + 1.0, ROWS - 1.0])
    for name, rows in PARTS.items():
        ids = [f"row {row}" for row in range(60)][rows]
        np.savez(tmp_path / name, features=ROWS[rows], labels=LABELS[rows], views=views[:, rows], ids=ids)
    found = as_embedding_set(tmp_path)
    assert found.features.tolist() == ROWS.tolist()
    assert found.views.tolist() == views.tolist()
    assert [found.class_names[label] for label in found.labels.tolist()] == LABELS.tolist()
    assert found.row_ids.tolist() == [f"row {row}" for row in range(60)]


def test_parts_of_unlike_precision_are_read_at_the_higher_one(tmp_path):
    for (name, rows), kind in zip(PARTS.items(), ("f2", "f4", "f2"), strict=True):
        pd.DataFrame({"embedding": list(ROWS[rows].astype(kind))}).to_parquet(tmp_path / f"{name}.parquet")
    found = as_embedding_set(tmp_path).features
    assert found.dtype == torch.float32
    assert found[1:40].tolist() == ROWS[1:40].tolist()


def test_a_set_larger_than_memory_lies_in_a_file(tmp_path, monkeypatch):
    for name, rows in PARTS.items():
        np.save(tmp_path / f"{name}.npy", ROWS[rows])
    sizes, in_a_file = [], large_tensor._in_a_file
    monkeypatch.setattr(large_tensor, "available_memory", lambda: 100)
    monkeypatch.setattr(large_tensor, "_in_a_file", lambda *given: sizes.append(given[2]) or in_a_file(*given))
    assert as_embedding_set(tmp_path).features.tolist() == ROWS.tolist()
    assert sizes == [ROWS.nbytes]


def several_kinds(folder):
    np.save(folder / "a.npy", ROWS)
    np.savez(folder / "b.npz", features=ROWS)


def unlike_widths(folder):
    np.save(folder / "a.npy", ROWS)
    np.save(folder / "b.npy", ROWS[:, :4])


def labels_in_one(folder):
    np.savez(folder / "a.npz", features=ROWS, labels=LABELS)
    np.savez(folder / "b.npz", features=ROWS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (several_kinds, r"several kinds[\s\S]*\.npy, \.npz[\s\S]*\*\.npy"),
        (unlike_widths, r"differ in shape[\s\S]*b\.npy \(60, 4\), a\.npy \(60, 5\)"),
        (labels_in_one, r"some parts have no labels[\s\S]*b\.npz"),
        (lambda folder: (folder / "notes.txt").write_text("x"), "no files of vectors"),
    ],
)
def test_what_is_no_set_of_parts_is_named(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        as_embedding_set(tmp_path)


def test_labels_among_the_files_are_labels(tmp_path):
    np.save(tmp_path / "features.npy", ROWS)
    np.save(tmp_path / "labels.npy", np.arange(60) % 3)
    found = as_embedding_set(tmp_path)
    assert found.features.tolist() == ROWS.tolist()
    assert found.labels.tolist() == (np.arange(60) % 3).tolist()


def test_a_pattern_that_matches_nothing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no files of vectors by the name .*part-\*\.npy"):
        as_embedding_set(tmp_path / "part-*.npy")


def test_a_set_is_called_after_its_folder(tmp_path):
    """Results go into a folder of this name: a pattern, or half of a dotted name, would be none."""
    folder = tmp_path / "run-1.5"
    folder.mkdir()
    assert name_of(folder) == name_of(folder / "part-*.npy") == "run-1.5"
    assert name_of(folder / "a.npz") == "a"
