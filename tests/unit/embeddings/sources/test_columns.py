"""The vectors of a container are taken whatever their name where they are the only ones; else they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repdiag.core.errors import DataError, RepdiagError
from repdiag.embeddings.as_embedding_set import as_embedding_set

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
LABELS = np.arange(40) % 4


def notes_of(found: object) -> str:
    return " ".join(found.provenance.reading.notes)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["z", "openai", "last_hidden_state", "text-embedding-3-small", "a.b", "X_test"])
def test_the_only_vectors_are_taken_whatever_their_name(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "a.npz", **{name: ROWS, "labels": LABELS})
    pd.DataFrame({"label": LABELS, name: list(ROWS), "tags": [["x"] * (n % 3) for n in range(40)]}).to_parquet(
        tmp_path / "a.parquet"
    )
    for path in ("a.npz", "a.parquet"):
        found = as_embedding_set(tmp_path / path)
        assert found.features.tolist() == ROWS.tolist()
        assert found.labels.tolist() == LABELS.tolist()
        assert f"the vectors are {name}" in notes_of(found)
    assert "left out of a.parquet: tags" in notes_of(found)


def test_several_are_asked_for_and_labels_go_with_their_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X_train=ROWS, y_train=LABELS, X_test=ROWS[:9] + 1, y_test=LABELS[:9])
    with pytest.raises(DataError, match=r"several columns[\s\S]*X_train[\s\S]*X_test[\s\S]*--column"):
        as_embedding_set(tmp_path / "a.npz")
    found = as_embedding_set(tmp_path / "a.npz", column="X_test")
    assert found.features.tolist() == (ROWS[:9] + 1).tolist()
    assert found.labels.tolist() == LABELS[:9].tolist()
    with pytest.raises(RepdiagError, match=r"unknown column[\s\S]*X_test"):
        as_embedding_set(tmp_path / "a.npz", column="X_tset")


def wide(**more: object) -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=[f"d{n}" for n in range(6)]).assign(label=LABELS, **more)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize(
    "more", [{"timestamp": 1.7e9 + np.arange(40.0)}, {"loss": np.linspace(0, 1, 40), "x1": 1.0, "y1": 2.0}]
)
def test_a_number_that_describes_a_row_is_no_dimension(tmp_path: Path, kind: str, more: dict[str, object]) -> None:
    getattr(wide(**more), f"to_{kind}")(tmp_path / f"a.{kind}", index=False)
    found = as_embedding_set(tmp_path / f"a.{kind}")
    assert np.allclose(found.features.numpy(), ROWS, atol=1e-7)
    assert found.labels.tolist() == LABELS.tolist()
    assert "d0 to d5" in notes_of(found)
    assert "left out" in notes_of(found)
    assert next(iter(more)) in notes_of(found)


def test_a_frame_in_python_is_read_as_its_file_is() -> None:
    found = as_embedding_set(wide(price=np.arange(40.0) * 1e6))
    assert found.features.tolist() == ROWS.tolist()
    assert found.labels.tolist() == LABELS.tolist()
    assert "price" in notes_of(found)


def test_dimensions_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.arange(24.0).reshape(2, 12), columns=[f"e_{n}" for n in range(12)])
    frame[sorted(frame.columns)].to_csv(tmp_path / "a.csv", index=False)
    assert as_embedding_set(tmp_path / "a.csv").features.tolist() == frame.to_numpy().tolist()


def test_two_families_of_columns_are_asked_for(tmp_path: Path) -> None:
    frame = pd.DataFrame({f"{name}_{n}": ROWS[:, n] for name in ("clip", "dino") for n in range(6)})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"several columns[\s\S]*clip_0 to clip_5, dino_0 to dino_5[\s\S]*'clip_\*'"):
        as_embedding_set(tmp_path / "a.parquet")
    assert as_embedding_set(tmp_path / "a.parquet", column="dino_*").features.tolist() == ROWS.tolist()


def test_columns_without_a_family_are_no_space_with_a_timestamp_among_them(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS[:, :3], columns=["left", "right", "up"])
    frame.to_parquet(tmp_path / "a.parquet")
    assert "every floating-point column" in notes_of(as_embedding_set(tmp_path / "a.parquet"))
    for more in ({"loss": 0.5}, {"when": 1.7e9 + np.arange(40.0)}):
        frame.assign(**more).to_parquet(tmp_path / "b.parquet")
        with pytest.raises(DataError, match=rf"not all dimensions[\s\S]*what are {next(iter(more))}\?"):
            as_embedding_set(tmp_path / "b.parquet")
        found = as_embedding_set(tmp_path / "b.parquet", column="left,right,up")
        assert found.features.tolist() == ROWS[:, :3].tolist()


@pytest.mark.parametrize("text", [lambda row: str(row.tolist()), str])
def test_vectors_that_a_table_keeps_as_text(tmp_path: Path, text: Callable[[np.ndarray], str]) -> None:
    rows = np.round(ROWS, 3)
    pd.DataFrame({"openai": [text(row) for row in rows], "label": LABELS}).to_csv(tmp_path / "a.csv", index=False)
    found = as_embedding_set(tmp_path / "a.csv")
    assert np.allclose(found.features.numpy(), rows, atol=1e-6)
    with np.printoptions(threshold=4, edgeitems=1):
        pd.DataFrame({"openai": [str(row) for row in rows]}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="cut off"):
        as_embedding_set(tmp_path / "b.csv")


def test_two_columns_of_labels_that_differ_are_asked_for(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz", features=ROWS, label=LABELS, category=np.arange(40) // 10, class_name=LABELS.astype(str)
    )
    with pytest.raises(DataError, match=r"could be the labels[\s\S]*--label-column"):
        as_embedding_set(tmp_path / "a.npz")
    assert (
        as_embedding_set(tmp_path / "a.npz", label_column="category").labels.tolist() == (np.arange(40) // 10).tolist()
    )


def test_labels_by_another_name_are_named_and_taken_when_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=ROWS, species=LABELS, camera=LABELS // 2)
    found = as_embedding_set(tmp_path / "a.npz")
    assert found.labels is None
    assert "--label-column species" in notes_of(found)
    found = as_embedding_set(tmp_path / "a.npz", label_column="species", group_column="camera")
    assert found.labels.tolist() == LABELS.tolist()
    assert found.groups.tolist() == (LABELS // 2).tolist()


def test_objects_are_named_with_what_to_do(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=ROWS, labels=LABELS.astype(str).astype(object), allow_pickle=True)
    found = as_embedding_set(tmp_path / "a.npz")
    assert found.labels is None
    assert ".astype(str)" in notes_of(found)
    with pytest.raises(DataError, match=r"labels[\s\S]*\.astype\(str\)"):
        as_embedding_set(tmp_path / "a.npz", label_column="labels")
