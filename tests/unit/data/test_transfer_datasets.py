"""The sets that encoders are transferred to: torchvision's layouts read as they are split, with their measures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import Flowers102

from repdiag.core.errors import DataError
from repdiag.data.datasets import list_datasets, open_dataset
from repdiag.data.transfer_datasets import EUROSAT, SETS
from repdiag.downstream.measures import MEAN_PER_CLASS


def image(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 7), (level, 0, 0)).save(path)


def text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def pets(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    for split, numbers in (("trainval", (1, 2)), ("test", (3,))):
        names = [
            (f"{kind}_{number}", label) for label, kind in ((1, "Abyssinian"), (2, "beagle")) for number in numbers
        ]
        text(folder / "annotations" / f"{split}.txt", [f"{name} {label} 1 1" for name, label in names])
        for name, label in names:
            image(folder / "images" / f"{name}.jpg", 100 * label)


def dtd(root: Path) -> None:
    for split, number in (("train", 1), ("val", 2), ("test", 3)):
        names = [f"{kind}/{kind}_{number}.jpg" for kind in ("banded", "woven")]
        text(root / "dtd" / "dtd" / "labels" / f"{split}1.txt", names)
        for label, name in enumerate(names):
            image(root / "dtd" / "dtd" / "images" / name, 100 * (label + 1))


def aircraft(root: Path) -> None:
    folder = root / "fgvc-aircraft-2013b" / "data"
    text(folder / "variants.txt", ["707-320", "A 380"])
    for split, number in (("trainval", 1), ("test", 2)):
        text(folder / f"images_variant_{split}.txt", [f"{number}0 707-320", f"{number}1 A 380"])
        for label in (0, 1):
            image(folder / "images" / f"{number}{label}.jpg", 100 * (label + 1))


def food101(root: Path) -> None:
    for split, number in (("train", 1), ("test", 2)):
        kinds = ("apple_pie", "waffles")
        listed = {kind: [f"{kind}/{number}"] for kind in kinds}
        text(root / "food-101" / "meta" / f"{split}.json", [json.dumps(listed)])
        for label, kind in enumerate(kinds):
            image(root / "food-101" / "images" / kind / f"{number}.jpg", 100 * (label + 1))


def gtsrb(root: Path) -> None:
    for label in (0, 1):
        image(root / "gtsrb" / "GTSRB" / "Training" / f"0000{label}" / "1.ppm", 100 * (label + 1))
        image(root / "gtsrb" / "GTSRB" / "Final_Test" / "Images" / f"{label}.ppm", 100 * (label + 1))
    with (root / "gtsrb" / "GT-final_test.csv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerows([("Filename", "ClassId"), ("0.ppm", 0), ("1.ppm", 1)])


def flowers102(root: Path) -> None:
    from scipy.io import savemat

    folder = root / "flowers-102"
    folder.mkdir()
    savemat(folder / "setid.mat", {"trnid": [1, 2], "valid": [3, 4], "tstid": [5, 6]})
    savemat(folder / "imagelabels.mat", {"labels": [1, 2, 1, 2, 1, 2]})
    for number in range(1, 7):
        image(folder / "jpg" / f"image_0000{number}.jpg", 100 * (2 - number % 2))


SIZES = {"pets": (4, 2), "dtd": (4, 2), "aircraft": (2, 2), "food101": (2, 2), "gtsrb": (2, 2), "flowers102": (4, 2)}


@pytest.mark.parametrize("name", SIZES)
def test_images_labels_and_parts_are_those_of_the_set(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image of the first class has a red of 100, one of the second of 200, whatever its file is called."""
    monkeypatch.setattr(Flowers102, "_check_integrity", lambda found: True)  # the sums are those of the whole set
    globals()[name](tmp_path)
    seen: set[str] = set()
    for split, count in zip(("train", "val"), SIZES[name], strict=True):
        found = open_dataset(name, split, root=tmp_path)
        assert (found.name, len(found)) == (name, count)
        assert np.bincount(found.labels).tolist() == [count // 2] * 2
        reds = [float(found.image(row)[0].float().mean()) for row in range(count)]
        assert np.abs(np.array(reds) - 100 * (found.labels + 1)).max() < 4
        assert not seen & set(found.row_ids.tolist())
        seen |= set(found.row_ids.tolist())


@pytest.mark.parametrize("name", [*SETS, "svhn", "eurosat"])
def test_what_is_not_here_is_said_with_the_place(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{name} is not here") as caught:
        open_dataset(name, "train", root=tmp_path)
    assert str(tmp_path) in str(caught.value.found)
    assert caught.value.hint


def test_a_set_that_lost_images_is_refused_with_their_number(tmp_path: Path) -> None:
    pets(tmp_path)
    (tmp_path / "oxford-iiit-pet" / "images" / "beagle_1.jpg").unlink()
    with pytest.raises(DataError, match="lacks 1 of 4 images"):
        open_dataset("pets", "train", root=tmp_path)


def test_caltechs_parts_share_no_image_and_do_not_depend_on_the_file_system(tmp_path: Path) -> None:
    """Others draw with replacement, keep the background as a class, or take the order in which a folder lists."""
    names = [(kind, number) for kind in ("ant", "bee", "BACKGROUND_Google") for number in range(20)]
    parts = []
    for place, order in (("one", names), ("two", names[::-1])):
        for kind, number in order:
            folder = tmp_path / place / "caltech101" / "101_ObjectCategories" / kind
            image(folder / f"image_{number:04d}.jpg", number)
        parts.append([open_dataset("caltech101", split, root=tmp_path / place) for split in ("train", "val")])
    (train, val), (other_train, other_val) = parts
    assert (train.fingerprint, val.fingerprint) == (other_train.fingerprint, other_val.fingerprint)
    assert not set(train.row_ids) & set(val.row_ids)
    assert len(set(train.row_ids) | set(val.row_ids)) == 40
    assert np.bincount(val.labels).tolist() == [4, 4]
    assert train.class_names == ("ant", "bee")


def test_eurosat_is_split_by_hash(tmp_path: Path) -> None:
    for kind in ("Forest", "River"):
        for number in range(20):
            image(tmp_path / EUROSAT / kind / f"{kind}_{number}.jpg", number)
    train, val = (open_dataset("eurosat", split, root=tmp_path) for split in ("train", "val"))
    assert (len(train), len(val)) == (32, 8)
    assert not set(train.row_ids) & set(val.row_ids)


def test_sun397_is_split_by_hash_and_reads_classes_of_two_folders(tmp_path: Path) -> None:
    text(tmp_path / "SUN397" / "ClassName.txt", ["/a/abbey", "/a/apartment_building/outdoor"])
    for label, kind in enumerate(("abbey", "apartment_building/outdoor")):
        for number in range(20):
            image(tmp_path / "SUN397" / "a" / kind / f"sun_{number:03d}.jpg", 100 * (label + 1))
    train, val = (open_dataset("sun397", split, root=tmp_path) for split in ("train", "val"))
    assert (np.bincount(train.labels).tolist(), np.bincount(val.labels).tolist()) == ([16, 16], [4, 4])
    assert not set(train.row_ids) & set(val.row_ids)
    assert val.class_names == ("abbey", "apartment_building/outdoor")
    reds = [float(val.image(row)[0].float().mean()) for row in range(len(val))]
    assert np.abs(np.array(reds) - 100 * (val.labels + 1)).max() < 4


def test_sets_with_boxes_are_listed(tmp_path: Path) -> None:
    listed = {info.name: info for info in list_datasets(tmp_path)}
    assert listed["composed"].present
    assert {listed[name].measure for name in ("composed", "coco:PATH", "voc:PATH")} == {"AP"}


def test_the_list_names_the_measure_that_the_protocols_report(tmp_path: Path) -> None:
    """What is listed as mean per class is what `repdiag probe` reports first."""
    listed = {info.name: info for info in list_datasets(tmp_path)}
    assert {name for name, info in listed.items() if info.measure == "mean per class"} == MEAN_PER_CLASS
    for name, known in SETS.items():
        sizes = known.sizes or (None, None)
        assert (listed[name].train, listed[name].val, listed[name].classes) == (*sizes, known.classes)
        assert known.images is None or f"{known.images:,} images" in listed[name].how_to_get
        assert str(tmp_path) in listed[name].how_to_get
