"""Datasets by name: the digits, Fashion-MNIST's files, and errors that say where to look and what to do."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from repdiag.core.errors import DataError, UsageError
from repdiag.data import fixed_size_datasets
from repdiag.data.datasets import list_datasets, open_dataset
from repdiag.data.image_split import ArraySource


def test_digits_are_split_once_and_for_all() -> None:
    train, val = (open_dataset("digits", split) for split in ("train", "val"))
    assert (len(train), len(val)) == (1437, 360)
    assert np.bincount(val.labels).tolist() == [36] * 10
    rows = {name.split("/")[1] for name in (*train.row_ids, *val.row_ids)}
    assert rows == {f"{row:06d}" for row in range(1797)}
    assert train.native_size == val.native_size == 16
    assert train.preset == "digits"
    assert train.fingerprint == FINGERPRINTS[0]
    assert val.fingerprint == FINGERPRINTS[1]


FINGERPRINTS = (
    "d9a646df2651a758634627531924fce4828510ffebfddb11a0989076ae1e7689",
    "973778fc2ef2b77b29ade4ba80d9c004886fbe6a71194a6bc30d35ee175d0df5",
)


def test_digits_show_scikit_learns_levels() -> None:
    from sklearn.datasets import load_digits

    levels, labels = load_digits(return_X_y=True)
    train = open_dataset("digits", "train")
    for row in (0, 700, 1436):
        source = int(train.row_ids[row].split("/")[1])
        image = train.image(row)
        assert image.dtype == torch.uint8
        assert train.labels[row] == labels[source]
        shown = image[:, ::2, ::2].numpy() / 255 * 16
        assert np.abs(shown - levels[source].reshape(8, 8)).max() <= 0.04  # half a level of 255
        assert (image[:, 1::2, 1::2].numpy() == image[:, ::2, ::2].numpy()).all()


def write_idx(path: Path, values: np.ndarray, *, packed: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.with_name(path.name + (".gz" if packed else "")).write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["root", "debian"])
def test_fashion_mnist_is_read_from_either_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, place: str
) -> None:
    folder = tmp_path / "FashionMNIST" / "raw" if place == "root" else tmp_path / "debian"
    monkeypatch.setattr(fixed_size_datasets, "FASHION_DEBIAN", tmp_path / "debian")
    gray = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    write_idx(folder / "t10k-images-idx3-ubyte", gray, packed=packed)
    write_idx(folder / "t10k-labels-idx1-ubyte", np.arange(30, dtype=np.uint8) % 10, packed=packed)
    found = open_dataset("fashion_mnist", "val", root=tmp_path)
    assert found.class_names[9] == "Ankle boot"
    assert found.native_size == 28
    for channel in range(3):
        np.testing.assert_array_equal(found.images(range(30))[:, channel].numpy(), gray)
    with pytest.raises(DataError, match="fashion_mnist is not here"):
        open_dataset("fashion_mnist", "train", root=tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(3, np.uint8), packed=False)
    write_idx(folder / "train-images-idx3-ubyte", np.zeros((3, 28, 28), np.uint8), packed=True)
    images = folder / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is damaged"):
        open_dataset("fashion_mnist", "train", root=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "stl10", "fashion_mnist", "imagenet", "caltech101"])
def test_what_is_not_here_is_said_with_the_place_and_the_way(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixed_size_datasets, "FASHION_DEBIAN", tmp_path / "nowhere")
    with pytest.raises(DataError, match=f"{name} is not here") as caught:
        open_dataset(name, "train", root=tmp_path)
    assert str(tmp_path) in str(caught.value.found)
    assert caught.value.hint


def test_imagenets_layout_is_a_folder_of_images(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "imagenet")
    found = open_dataset("imagenet", "val", root=tmp_path)
    assert found.name == "imagenet"
    assert len(found) == 9


def test_caltechs_background_is_no_class(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "caltech101" / "101_ObjectCategories"
    place.parent.mkdir()
    (folder / "train").rename(place)
    (place / "bee").rename(place / "BACKGROUND_Google")
    found = open_dataset("caltech101", "train", root=tmp_path)
    assert found.class_names == ("ant", "cow")
    assert np.bincount(found.labels).tolist() == [5, 5]


def test_a_typo_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean: cifar10"):
        open_dataset("cifar-10", "train")
    with pytest.raises(UsageError, match="imagefolder:"):
        open_dataset(str(tmp_path), "train")
    with pytest.raises(UsageError, match="did you mean: val"):
        open_dataset("digits", "vall")


def test_the_list_says_what_is_here(tmp_path: Path) -> None:
    (tmp_path / "imagenet").mkdir()
    found = {info.name: info for info in list_datasets(tmp_path)}
    assert found["digits"].present
    assert found["imagenet"].present
    assert found["imagenet"].where == tmp_path / "imagenet"
    assert not found["cifar10"].present
    assert str(tmp_path) in found["cifar10"].how_to_get


class _Point:
    name, value = "mine", "package:open_mine"

    @staticmethod
    def load() -> object:
        return lambda request: open_dataset("digits", request.split)


def test_another_packages_dataset_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repdiag.data.datasets.entry_points", lambda *, group: [_Point] * (group == "repdiag.datasets"))
    assert len(open_dataset("mine", "val")) == 360
    assert "mine" in {info.name for info in list_datasets()}


def test_balanced_takes_the_same_number_of_every_class_whatever_the_order_of_rows() -> None:
    train = open_dataset("digits", "train")
    chosen = train.balanced(20, seed=1)
    assert np.bincount(chosen.labels).tolist() == [20] * 10
    shuffled = train.subset(np.random.default_rng(0).permutation(len(train))).balanced(20, seed=1)
    assert set(shuffled.row_ids) == set(chosen.row_ids)
    assert set(train.balanced(20, seed=2).row_ids) != set(chosen.row_ids)
    assert set(train.balanced(10, seed=1).row_ids) < set(chosen.row_ids)
    assert np.bincount(train.balanced(10_000).labels).tolist() == [np.bincount(train.labels).min()] * 10


def test_a_subset_keeps_its_rows_names_labels_and_pixels() -> None:
    train = open_dataset("digits", "train")
    mask = train.labels == 3
    threes = train.subset(mask)
    assert len(threes) == mask.sum()
    assert (threes.labels == 3).all()
    row = int(np.flatnonzero(mask)[4])
    assert threes.row_ids[4] == train.row_ids[row]
    assert torch.equal(threes.image(4), train.image(row))
    assert threes.fingerprint != train.fingerprint


@pytest.mark.parametrize("count", [1, 7, 10, 23, 100, 1436])
def test_a_limit_draws_evenly_over_the_classes_whatever_the_order_of_rows(count: int) -> None:
    train = open_dataset("digits", "train")
    chosen = train.limited(count, seed=1)
    per_class = np.bincount(chosen.labels, minlength=10)
    full = np.bincount(train.labels, minlength=10)
    assert len(chosen) == count
    assert all(a == full[place] or a >= per_class.max() - 1 for place, a in enumerate(per_class))
    assert list(chosen.row_ids) == [name for name in train.row_ids if name in set(chosen.row_ids)]
    shuffled = train.subset(np.random.default_rng(0).permutation(len(train))).limited(count, seed=1)
    assert set(shuffled.row_ids) == set(chosen.row_ids)
    assert set(train.limited(count - 1, seed=1).row_ids) < set(chosen.row_ids)


@pytest.mark.parametrize(("height", "width", "size"), [(6, 6, 6), (6, 4, None), (3, 6, None)])
def test_images_in_memory_have_a_native_size_only_where_they_are_square(
    height: int, width: int, size: int | None
) -> None:
    pixels = torch.zeros(3, 3, height, width, dtype=torch.uint8)
    assert ArraySource(pixels).native_size == size


def test_a_limit_takes_all_of_a_rare_class_and_of_a_small_split() -> None:
    train = open_dataset("digits", "train")
    rare = train.subset(np.sort(np.concatenate([np.flatnonzero(train.labels == 0)[:3], np.flatnonzero(train.labels)])))
    assert np.bincount(rare.limited(93).labels).tolist() == [3, *[10] * 9]
    assert train.limited(5000) is train
    assert set(train.limited(50, seed=2).row_ids) != set(train.limited(50, seed=1).row_ids)
