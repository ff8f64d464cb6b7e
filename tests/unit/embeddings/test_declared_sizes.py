"""Small files that unpack to more than memory holds, or say that they do, are refused before anything is allocated."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repdiag.core.errors import DataError
from repdiag.embeddings import declared_sizes
from repdiag.embeddings.as_embedding_set import as_embedding_set


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared_sizes, "available_memory", lambda: 2**20)


def lying_npz(path: Path, rows: int) -> None:
    """Write an archive whose array says that it has so many rows of 8, and holds none."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (rows, 8)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", header.getvalue())


@pytest.mark.usefixtures("little_memory")
def test_an_archive_larger_than_memory_is_refused_with_the_bound(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", features=np.zeros((2**16, 8), np.float32))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**14
    with pytest.raises(DataError, match=r"does not fit in memory[\s\S]*GiB that may be used[\s\S]*npy"):
        as_embedding_set(tmp_path / "bomb.npz")


@pytest.mark.usefixtures("little_memory")
def test_a_parquet_file_of_repeats_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({f"d{number}": np.zeros(2**16, np.float32) for number in range(4)})
    frame.to_parquet(tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 2**14
    with pytest.raises(DataError, match="does not fit in memory"):
        as_embedding_set(tmp_path / "bomb.parquet")


@pytest.mark.parametrize("rows", [5, 2**40])
def test_an_array_that_is_not_as_large_as_it_says_is_refused_at_once(tmp_path: Path, rows: int) -> None:
    lying_npz(tmp_path / "lie.npz", rows)
    with pytest.raises(DataError, match="does not have its declared size"):
        as_embedding_set(tmp_path / "lie.npz")


@pytest.mark.usefixtures("little_memory")
def test_what_fits_is_read(tmp_path: Path) -> None:
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)
    np.savez_compressed(tmp_path / "a.npz", features=rows, labels=np.array(["a", "b"] * 4), note=np.array("text"))
    found = as_embedding_set(tmp_path / "a.npz")
    assert found.features.tolist() == rows.tolist()
    assert found.class_names == ("a", "b")
