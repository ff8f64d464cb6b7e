"""Rows that have names on both sides are joined by them; rows or labels that contradict are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import repdiag
from repdiag.core.errors import DataError, MetricError, RepdiagError
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.embeddings.vector_inputs import read_inputs

RNG = np.random.default_rng(0)
LABELS = np.array(["cat", "dog", "fox", "owl"])[np.arange(40) % 4]
ROWS = (RNG.normal(size=(4, 6))[np.arange(40) % 4] + RNG.normal(size=(40, 6))).astype(np.float32)
IDS = np.array([f"img_{n:03d}.png" for n in range(40)])
ORDER = RNG.permutation(40)


def write(folder: Path, kind: str, rows: np.ndarray, ids: np.ndarray, labels: np.ndarray | None = None) -> Path:
    path = folder / f"v.{kind}"
    more = {} if labels is None else {"label": labels}
    if kind == "npz":
        np.savez(path, features=rows, ids=ids, **more)
    elif kind == "parquet":
        pd.DataFrame({"id": ids, "embedding": list(rows), **more}).to_parquet(path)
    else:
        pd.DataFrame({"id": ids, **{f"d{n}": rows[:, n] for n in range(6)}, **more}).to_csv(path, index=False)
    return path


def classes(found: object) -> list[str]:
    return [found.class_names[label] for label in found.labels.tolist()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["npz", "parquet", "csv"])
@pytest.mark.parametrize("column", ["id", "image_id", "path"])
def test_labels_are_joined_by_the_names_of_rows(tmp_path: Path, kind: str, column: str) -> None:
    path = write(tmp_path, kind, ROWS, IDS)
    pd.DataFrame({column: IDS[ORDER], "dx": LABELS[ORDER]}).to_csv(tmp_path / "l.csv", index=False)
    found = as_embedding_set(path, labels=tmp_path / "l.csv")
    assert classes(found) == LABELS.tolist()
    assert "were joined by" in " ".join(found.provenance.reading.notes)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (IDS, [f"/data/x/{name}" for name in IDS]),
        ([f"val/{name}" for name in IDS], [name[:-4] for name in IDS]),
        (np.arange(40), [f"{n:05d}" for n in range(40)]),
    ],
)
def test_names_may_be_written_in_two_ways(mine: np.ndarray, theirs: list[str]) -> None:
    table = {"features": ROWS, "id": np.asarray(mine)}
    labels = pd.DataFrame({"id": np.asarray(theirs)[ORDER], "label": LABELS[ORDER]})
    assert classes(as_embedding_set(table, labels=labels)) == LABELS.tolist()


@pytest.mark.parametrize("names", [IDS, np.char.rstrip(IDS, ".png"), np.arange(40)])
def test_a_column_of_names_is_known_by_its_values_whatever_it_is_called(tmp_path: Path, names: np.ndarray) -> None:
    path = write(tmp_path, "parquet", ROWS, names if names.dtype.kind == "i" else IDS)
    pd.DataFrame({"name": names[ORDER], "class": LABELS[ORDER]}).to_csv(tmp_path / "l.tsv", index=False, sep="\t")
    found = as_embedding_set(path, labels=tmp_path / "l.tsv")
    assert classes(found) == LABELS.tolist()
    assert "id = name" in " ".join(found.provenance.reading.notes)


def test_text_that_names_other_rows_is_no_name(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", ROWS, IDS)
    notes = [f"photograph number {n}" for n in range(40)]
    pd.DataFrame({"remark": notes, "class": LABELS}).to_csv(tmp_path / "l.csv", index=False)
    found = as_embedding_set(path, labels=tmp_path / "l.csv")
    assert classes(found) == LABELS.tolist()
    assert "they were joined in their order" in " ".join(found.provenance.reading.notes)


def test_more_labels_than_rows_are_left_out_and_fewer_refused(tmp_path: Path) -> None:
    pd.DataFrame({"id": IDS[ORDER], "label": LABELS[ORDER]}).to_csv(tmp_path / "l.csv", index=False)
    part = as_embedding_set({"features": ROWS[5:20], "id": IDS[5:20]}, labels=tmp_path / "l.csv")
    assert classes(part) == LABELS[5:20].tolist()
    assert "25 rows of l.csv belong to no row" in " ".join(part.provenance.reading.notes)
    pd.DataFrame({"id": IDS[3:], "label": LABELS[3:]}).to_csv(tmp_path / "l.csv", index=False)
    with pytest.raises(DataError, match=r"do not name the same rows[\s\S]*3 of 40[\s\S]*img_000\.png, img_001\.png"):
        as_embedding_set({"features": ROWS, "id": IDS}, labels=tmp_path / "l.csv")


def test_a_name_that_is_there_twice_is_refused() -> None:
    labels = pd.DataFrame({"id": np.append(IDS, IDS[3]), "label": np.append(LABELS, "owl")})
    with pytest.raises(DataError, match=r"twice[\s\S]*img_003\.png"):
        as_embedding_set({"features": ROWS, "id": IDS}, labels=labels)


def test_a_pandas_index_names_rows() -> None:
    frame = pd.DataFrame(ROWS, columns=[f"d{n}" for n in range(6)], index=IDS)
    shuffled = pd.Series(LABELS, index=IDS).iloc[ORDER]
    assert classes(as_embedding_set(frame, labels=shuffled)) == LABELS.tolist()


def _saved(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path


def test_labels_that_contradict_those_of_the_vectors_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=ROWS, labels=LABELS)
    np.save(tmp_path / "wrong.npy", LABELS[ORDER])
    with pytest.raises(DataError, match=r"contradict[\s\S]*of 40 rows, the first"):
        as_embedding_set(tmp_path / "a.npz", labels=tmp_path / "wrong.npy")
    with pytest.raises(DataError, match="--relabel"):  # other names, in which half the rows go elsewhere
        as_embedding_set(tmp_path / "a.npz", labels=_saved(tmp_path / "other.npy", np.char.add("of ", LABELS[ORDER])))
    told = as_embedding_set(tmp_path / "a.npz", labels=tmp_path / "wrong.npy", relabel=True)
    assert classes(told) == LABELS[ORDER].tolist()
    wrong = int((LABELS[ORDER] != LABELS).sum())
    assert told.provenance.reading.notes[-1].endswith(f"which contradict them in {wrong} of 40 rows.")
    with pytest.raises(DataError, match="contradict"):
        as_embedding_set({"features": ROWS, "label": LABELS}, labels=LABELS[ORDER])
    np.save(tmp_path / "coarse.npy", np.isin(LABELS, ["cat", "dog"]).astype(int))
    assert as_embedding_set(tmp_path / "a.npz", labels=tmp_path / "coarse.npy").labels.sum() == 20


@pytest.mark.parametrize("kind", ["npz", "parquet", "csv"])
def test_two_encoders_in_other_orders_give_the_same_values_to_the_bit(tmp_path: Path, kind: str) -> None:
    other = np.tanh(ROWS[:, ::-1])
    values = []
    for n, (mine, its) in enumerate([(np.arange(40),) * 2, (np.arange(40), ORDER), (ORDER, ORDER[::-1])]):
        folders = [tmp_path / f"{n}{side}" for side in "ab"]
        for folder, rows, order in zip(folders, (ROWS, other), (mine, its), strict=True):
            folder.mkdir()
            write(folder, kind, rows[order], IDS[order], LABELS[order])
        inputs = read_inputs(folders[0] / f"v.{kind}", others={"b": folders[1] / f"v.{kind}"})
        names = ["linear_cka", "mutual_knn", "procrustes_distance", "ami", "precision_at_1"]
        table = repdiag.evaluate(inputs.embeddings, names, other=inputs.others["b"])
        values.append([(row.metric, row.value, row.ci_low, row.ci_high) for row in table])
    assert values[0] == values[1] == values[2]


def test_a_second_encoder_without_names_whose_labels_contradict_is_refused(tmp_path: Path) -> None:
    first, second = {"features": ROWS, "label": LABELS}, {"features": ROWS[ORDER], "label": LABELS[ORDER]}
    for call in (
        lambda: repdiag.evaluate(first, ["linear_cka"], other=second),
        lambda: repdiag.diagnose(first, reference=second),
        lambda: read_inputs(first, others={"b": second}),
    ):
        with pytest.raises(RepdiagError, match=r"contradict[\s\S]*of 40 rows, the first"):
            call()


def test_labels_by_other_numbers_do_not_contradict() -> None:
    numbers = np.array([2, 0, 3, 1])[np.arange(40) % 4]
    first = {"features": ROWS, "label": np.arange(40) % 4}
    for other in (numbers, LABELS, (np.arange(40) % 4) // 2):
        inputs = read_inputs(first, others={"b": {"features": ROWS, "label": other}})
        assert inputs.others["b"].features.tolist() == ROWS.tolist()


def test_what_cannot_be_checked_is_said() -> None:
    inputs = read_inputs({"features": ROWS, "label": LABELS}, others={"b": {"features": ROWS}})
    assert any("assumed to be in the same order" in note for note in inputs.notes)
    with pytest.raises(MetricError, match=r"not read on the same rows[\s\S]*only their numbers"):
        read_inputs({"features": ROWS}, others={"b": {"features": ROWS, "id": IDS}})


def test_rows_left_out_of_one_encoder_are_left_out_of_the_other() -> None:
    zeros = ROWS.copy()
    zeros[[3, 7]] = 0
    inputs = read_inputs({"features": zeros, "label": LABELS}, others={"b": {"features": ROWS, "label": LABELS}})
    assert len(inputs.embeddings) == len(inputs.others["b"]) == 38
    assert inputs.embeddings.row_ids.tolist() == inputs.others["b"].row_ids.tolist()
    assert any("2 rows were left out, 2 all zero: 3, 7" in note for note in inputs.notes)
