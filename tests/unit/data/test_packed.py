"""Packed images: the same pixels as the files, made once, checked, and made again when damaged."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import write_image

from repdiag.core.errors import StoreError
from repdiag.data import packed
from repdiag.data.folders import cache_folder
from repdiag.data.image_folder import open_image_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.packed import pack
from repdiag.data.resample import resize_and_centre


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_SHARD_BYTES", 5 * 3 * 16 * 16)


def shards() -> list[Path]:
    return sorted(cache_folder("packed").glob("*/*.npy"))


@pytest.mark.usefixtures("small_shards")
def test_rows_are_the_files_resized(folder: Path) -> None:
    split = open_image_folder(folder, "train")
    found = pack(split, 16)
    assert found.native_size == 16
    assert len(shards()) == 4
    assert found.row_ids.tolist() == split.row_ids.tolist()
    wanted = torch.stack(
        [resize_and_centre(split.image(row), resize=16, size=16, interpolation="bilinear") for row in range(18)]
    )
    rows = [17, 0, 5, 5, 11]
    assert torch.equal(found.images(rows), wanted[rows])
    assert torch.equal(found.subset([3, 9]).images([1, 0]), wanted[[9, 3]])
    assert torch.equal(found.image(7), wanted[7])


@pytest.mark.usefixtures("small_shards")
def test_a_second_pack_reads_no_file_and_an_interrupted_one_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = open_image_folder(folder, "train")
    first = pack(split, 16).images(range(18))
    read: list[int] = []
    original = ImageSplit.image
    monkeypatch.setattr(ImageSplit, "image", lambda self, row: read.append(row) or original(self, row))
    assert torch.equal(pack(split, 16).images(range(18)), first)
    assert read == []
    shards()[2].unlink()
    assert torch.equal(pack(split, 16).images(range(18)), first)
    assert read == [10, 11, 12, 13, 14]


@pytest.mark.usefixtures("small_shards")
def test_one_flipped_bit_anywhere_is_found_and_mended(folder: Path) -> None:
    split = open_image_folder(folder, "train")
    first = pack(split, 16).images(range(18))
    for at in (0, 60, 127, 128, 1000, -1):
        damaged = shards()[1]
        data = bytearray(damaged.read_bytes())
        data[at] ^= 4
        damaged.write_bytes(data)
        assert torch.equal(pack(split, 16).images(range(18)), first)


def test_the_pack_follows_content_and_size(folder: Path) -> None:
    split = open_image_folder(folder, "train")
    pack(split, 16)
    pack(split, 8)
    write_image(folder / "train/ant/0.png", seed=900)
    pack(open_image_folder(folder, "train"), 16)
    assert len(shards()) == 3


def test_folders_of_small_squares_are_packed_at_once(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        for number in range(5):
            write_image(tmp_path / "tiny" / name / f"{number}.png", seed=number, height=12, width=12)
    train = open_image_folder(tmp_path / "tiny", "train")
    assert train.native_size == 12
    assert train.preset == "moco_v2_32"
    assert len(shards()) == 1
    assert train.images(np.arange(8)).shape == (8, 3, 12, 12)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_worker_processes_build_the_same_pack_and_progress_counts_images(folder: Path) -> None:
    split = open_image_folder(folder, "train")
    told: list[tuple[int, int]] = []
    helped = pack(split, 16, workers=2, progress=lambda *counts: told.append(counts)).images(range(18))
    assert told == [(5, 18), (10, 18), (15, 18), (18, 18)]
    built = [path.name for path in shards()]
    for path in shards():
        path.unlink()
    assert torch.equal(pack(split, 16).images(range(18)), helped)
    assert [path.name for path in shards()] == built


def test_a_pack_that_does_not_fit_is_refused_before_it_is_begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(path)._replace(free=1000))
    with pytest.raises(StoreError, match="too little space to pack"):
        pack(open_image_folder(folder, "train"), 16)
    assert shards() == []
