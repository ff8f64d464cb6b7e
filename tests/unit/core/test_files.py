"""Durable writes: the old file or the new one, and never a part of either."""

import errno
import os
from pathlib import Path

import pytest

from repdiag.core.errors import StoreError
from repdiag.core.files import write_atomic, write_json, write_text


def leftovers(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir() if item.name.endswith(".tmp")]


def test_replaces_the_old_file(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert leftovers(path.parent) == []


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    path = write_text(tmp_path / "file.txt", "old")

    def half(stream):
        stream.write(b"half")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_atomic(path, half)
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EIO, "disk failed")]
)
def test_a_failing_disk_is_named_and_harmless(tmp_path, monkeypatch, call, code, words):
    path = write_text(tmp_path / "file.txt", "old")

    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*((os, "fsync", fail) if call == "fsync" else (Path, "replace", fail)))
    with pytest.raises(StoreError, match=words):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_a_disk_that_fails_at_the_very_end_leaves_the_new_file_and_says_so(tmp_path, monkeypatch):
    path = write_text(tmp_path / "file.txt", "old")

    def fail(_folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("repdiag.core.files.sync_folder", fail)
    with pytest.raises(StoreError, match="is written, but the disk did not confirm") as raised:
        write_text(path, "new")
    assert "untouched" not in str(raised.value)
    assert path.read_text() == "new"


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not write"):
        write_text(tmp_path / "file" / "inner.txt", "x")


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []
