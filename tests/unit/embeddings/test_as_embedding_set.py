"""Vectors come in through one door, whatever holds them."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from repdiag.core.errors import DataError, RepdiagError
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
    np.savez(tmp_path / "x.npz", weights=ROWS[0], biases=ROWS[:, 0])
    with pytest.raises(DataError, match="weights"):
        as_embedding_set(tmp_path / "x.npz")


def test_an_array_that_savez_named_itself_is_taken(tmp_path):
    np.savez(tmp_path / "x.npz", ROWS)
    assert as_embedding_set(tmp_path / "x.npz").features.tolist() == ROWS.tolist()
    np.savez(tmp_path / "y.npz", ROWS, LABELS)
    assert as_embedding_set(tmp_path / "y.npz").labels.tolist() == LABELS.tolist()
    np.savez(tmp_path / "z.npz", ROWS, ROWS)
    with pytest.raises(DataError, match=r"arr_0[\s\S]*arr_1[\s\S]*--column"):
        as_embedding_set(tmp_path / "z.npz")
    assert as_embedding_set(tmp_path / "z.npz", column="arr_1").labels is None


def test_tensors_that_torch_saved_are_taken_without_running_them(tmp_path):
    torch.save(torch.tensor(ROWS), tmp_path / "bare.pt")
    torch.save({"Embeddings": torch.tensor(ROWS), "labels": torch.tensor(LABELS)}, tmp_path / "named.pt")
    for name in ("bare.pt", "named.pt"):
        assert as_embedding_set(tmp_path / name).features.tolist() == ROWS.tolist()
    assert as_embedding_set(tmp_path / "named.pt").labels.tolist() == LABELS.tolist()


LABEL_FILES = {
    "lines.txt": "golden retriever\ncat\ngolden retriever\ncat\n",
    "column.csv": "file,label\na.jpg,golden retriever\nb.jpg,cat\nc.jpg,golden retriever\nd.jpg,cat\n",
    "quoted.csv": '\ufefflabel\n"golden retriever"\ncat\ngolden retriever\ncat\n',
    "tabs.tsv": "id\tcategory\n1\tgolden retriever\n2\tcat\n3\tgolden retriever\n4\tcat\n",
}


@pytest.mark.parametrize("name", LABEL_FILES)
def test_labels_with_spaces_and_headings(tmp_path, name):
    (tmp_path / name).write_text(LABEL_FILES[name], "utf-8")
    found = as_embedding_set(ROWS, labels=tmp_path / name)
    assert found.class_names == ("cat", "golden retriever")
    assert found.labels.tolist() == [1, 0, 1, 0]


def test_numbers_in_text_stay_numbers(tmp_path):
    (tmp_path / "labels.csv").write_text("2\n10\n2\n10\n")
    found = as_embedding_set(ROWS, labels=tmp_path / "labels.csv")
    assert (found.labels.tolist(), found.class_names) == ([2, 10, 2, 10], None)


@pytest.mark.parametrize(
    ("text", "message"), [("file,what\na,b\n", "file, what"), ("id,label\n1,a\n2\n", "line 2"), ("", "empty")]
)
def test_a_table_without_labels_says_what_it_holds(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(RepdiagError, match=message):
        as_embedding_set(ROWS, labels=tmp_path / "labels.csv")


def test_row_names_of_a_table_are_kept(tmp_path):
    names = ["a", "b", "c", "d"]
    pd.DataFrame({"id": names, "embedding": list(ROWS), "category": names}).to_parquet(tmp_path / "t.parquet")
    found = as_embedding_set(tmp_path / "t.parquet")
    assert found.row_ids.tolist() == names
    assert found.class_names == tuple(names)


def test_vectors_of_unlike_length_are_counted(tmp_path):
    pd.DataFrame({"embedding": [[1.0, 2.0], [1.0], [3.0, 4.0]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="not of one length"):
        as_embedding_set(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.float32(3), "2 axes"),
        (np.arange(4.0), r"2 axes[\s\S]*\[rows, 1\]"),
        (np.zeros((2, 3, 4)), r"2 axes[\s\S]*flatten"),
        (np.zeros((2, 3), complex), "real numbers"),
    ],
)
def test_arrays_that_are_no_vectors_are_named_with_what_to_do(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(RepdiagError, match=message):
        as_embedding_set(tmp_path / "a.npy")


def test_a_torch_file_of_something_else_is_named(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(DataError, match=r"neither a tensor[\s\S]*a list"):
        as_embedding_set(tmp_path / "list.pt")


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet", "safetensors"])
def test_a_file_that_is_cut_off_says_so(tmp_path, kind):
    files(tmp_path)
    whole = next(path for path in sorted(tmp_path.iterdir()) if path.suffix == f".{kind}")
    content = whole.read_bytes()
    for size in (0, len(content) // 2):
        whole.write_bytes(content[:size])
        with pytest.raises(DataError, match="cut off"):
            as_embedding_set(whole)


def test_text_that_was_kept_as_bytes_is_text(tmp_path):
    np.savez(tmp_path / "a.npz", features=ROWS, labels=np.array([b"dog", b"cat", b"dog", b"cat"]))
    assert as_embedding_set(tmp_path / "a.npz").class_names == ("cat", "dog")


def test_endings_in_capitals_are_the_same_kinds(tmp_path):
    np.savez(tmp_path / "a.npz", features=ROWS, labels=LABELS)
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    (tmp_path / "L.TXT").write_text("3\n2\n1\n0\n")
    found = as_embedding_set(tmp_path / "A.NPZ", labels=tmp_path / "L.TXT")
    assert found.features.tolist() == ROWS.tolist()
    assert found.labels.tolist() == [3, 2, 1, 0]


def test_the_index_of_a_frame_is_no_dimension(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])
    frame.set_index(pd.Index([0.1, 0.2, 0.3, 0.4])).to_parquet(tmp_path / "unnamed.parquet")
    frame.set_index(pd.Index([0.1, 0.2, 0.3, 0.4], name="seconds")).to_parquet(tmp_path / "named.parquet")
    for name in ("unnamed", "named"):
        assert as_embedding_set(tmp_path / f"{name}.parquet").features.tolist() == ROWS.tolist()


def test_the_only_column_of_a_file_of_labels_is_them_whatever_its_name(tmp_path):
    pd.DataFrame({"species": ["dog", "cat", "dog", "cat"]}).to_parquet(tmp_path / "l.parquet")
    assert as_embedding_set(ROWS, labels=tmp_path / "l.parquet").class_names == ("cat", "dog")


def test_columns_of_whole_numbers_are_dimensions_by_their_names_only(tmp_path):
    pd.DataFrame({"f0": [1, 2], "f1": [3, 4], "label": [0, 1]}).to_parquet(tmp_path / "t.parquet")
    assert as_embedding_set(tmp_path / "t.parquet").features.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    pd.DataFrame({"wide": [1, 2], "high": [3, 4], "label": [0, 1]}).to_parquet(tmp_path / "u.parquet")
    with pytest.raises(DataError, match=r"wide int64, high int64, label int64[\s\S]*list column"):
        as_embedding_set(tmp_path / "u.parquet")


@pytest.mark.parametrize(
    ("name", "text"),
    [("semicolons.csv", "id;label\n1;dog\n2;cat\n3;dog\n4;cat\n"), ("one_line.txt", "dog, cat, dog, cat")],
)
def test_other_separators_of_labels(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert as_embedding_set(ROWS, labels=tmp_path / name).labels.tolist() == [1, 0, 1, 0]


def test_a_heading_that_is_no_known_one_is_shown(tmp_path):
    (tmp_path / "labels.csv").write_text("species\ndog\ncat\ndog\ncat\n")
    with pytest.raises(DataError, match=r"one line more[\s\S]*'species'[\s\S]*name it label"):
        as_embedding_set(ROWS, labels=tmp_path / "labels.csv")


def test_a_row_without_a_label_is_unlabelled_and_counted(tmp_path):
    (tmp_path / "labels.csv").write_text("id,label\n1,dog\n2,\n3,dog\n4,cat\n")
    found = as_embedding_set(ROWS, labels=tmp_path / "labels.csv")
    assert (found.labels.tolist(), found.class_names) == ([1, -1, 1, 0], ("cat", "dog"))
    assert "1 of 4 rows are unlabelled" in found.provenance.reading.notes[0]
    assert as_embedding_set(ROWS, labels=[np.nan, 1.0, 2.0, np.nan]).labels.tolist() == [-1, 1, 2, -1]


def test_names_of_train_rows_name_no_others(tmp_path):
    """A file with `features`, `row_ids` and `train_row_ids`: each split has names of its own."""
    rows = np.random.default_rng(0).normal(size=(30, 4))
    ids, others = np.arange(30) * 7 + 3, np.arange(30) + 500
    np.savez(tmp_path / "both.npz", features=rows, row_ids=ids, train_features=rows, train_row_ids=others)
    np.savez(tmp_path / "train.npz", train_features=rows, train_row_ids=others)
    np.savez(tmp_path / "none.npz", features=rows, train_row_ids=others)
    assert as_embedding_set(tmp_path / "both.npz").row_ids.tolist() == ids.tolist()
    assert as_embedding_set(tmp_path / "train.npz").row_ids.tolist() == others.tolist()
    assert as_embedding_set(tmp_path / "none.npz").row_ids.tolist() != others.tolist()
