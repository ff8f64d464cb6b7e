"""Other pixels under the same name, size and time: noticed by the time of change, or by reading everything."""

import os
from pathlib import Path

import pytest
import torch
from image_files import write_image

from repdiag.data import walk as walk_module
from repdiag.data.datasets import open_dataset
from repdiag.data.walk import FoundFile

SIDE = 16


def swap_bytes(path: Path, *, seed: int) -> None:
    """Put other pixels into a BMP, whose size does not depend on them, and set its time back."""
    status = path.stat()
    write_image(path, seed=seed, height=SIDE, width=SIDE)
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    for name in ("ant", "bee"):
        for number in range(5):
            write_image(tmp_path / f"squares/{name}/{number}.bmp", seed=number, height=SIDE, width=SIDE)
    return tmp_path / "squares"


def test_a_copy_that_keeps_size_and_time_is_noticed(squares: Path) -> None:
    first = open_dataset(f"imagefolder:{squares}", "train")
    for path in squares.rglob("*.bmp"):
        swap_bytes(path, seed=90)
    again = open_dataset(f"imagefolder:{squares}", "train")
    assert again.fingerprint != first.fingerprint
    assert again.row_ids.tolist() == first.row_ids.tolist()
    assert not torch.equal(again.images(range(8)), first.images(range(8)))


def test_without_a_time_of_change_the_content_is_checked_when_asked(
    squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timeless(path: str, size: int, mtime_ns: int, ctime_ns: int = 0) -> FoundFile:
        return FoundFile(path, size, mtime_ns)

    monkeypatch.setattr(walk_module, "FoundFile", timeless)
    first = open_dataset(f"imagefolder:{squares}", "train")
    for path in squares.rglob("*.bmp"):
        swap_bytes(path, seed=90)
    trusted = open_dataset(f"imagefolder:{squares}", "train")
    assert trusted.fingerprint == first.fingerprint  # what docs/images.md says of such disks
    checked = open_dataset(f"imagefolder:{squares}", "train", check_content=True)
    assert checked.fingerprint != first.fingerprint
    assert checked.row_ids.tolist() == first.row_ids.tolist()
    assert open_dataset(f"imagefolder:{squares}", "train").fingerprint == checked.fingerprint


def test_new_times_over_the_same_bytes_change_nothing_and_decode_nothing(
    squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_dataset(f"imagefolder:{squares}", "train")
    for path in squares.rglob("*.bmp"):
        path.touch()
    monkeypatch.setattr("repdiag.data.scan.decode_with_notes", None)
    assert open_dataset(f"imagefolder:{squares}", "train").fingerprint == first.fingerprint
