"""Folders as people have them: parts of any usual name, junk, wrappers, classes that one part lacks, no labels."""

from pathlib import Path

import numpy as np
import pytest
from image_files import write_image

from repdiag.core.errors import DataError
from repdiag.data.datasets import open_dataset
from repdiag.data.image_folder import open_image_folder
from repdiag.data.image_split import ImageSplit, equal_galleries
from repdiag.data.splits import NoTrainPartError, part_of


def fill(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> Path:
    for number, name in enumerate(classes):
        for image in range(count):
            write_image(folder / name / f"{image}.png", seed=100 * number + image)
    return folder


def notes(split: ImageSplit) -> str:
    return "; ".join(map(str, split.notes))


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Training", "Testing"),
        ("Train", "Val"),
        ("TRAIN", "TEST"),
        ("training", "validation"),
        ("train", "valid"),
        ("train", "eval"),
        ("train_set", "test_set"),
        ("train2017", "val2017"),
        ("seg_train", "seg_test"),
        ("train images", "test images"),
    ],
)
def test_parts_of_any_usual_name_are_no_classes(tmp_path: Path, train: str, val: str) -> None:
    fill(tmp_path / train)
    fill(tmp_path / val, count=2)
    found = [open_image_folder(tmp_path, split) for split in ("train", "val")]
    assert [len(split) for split in found] == [6, 4]
    assert found[0].class_names == found[1].class_names == ("cat", "dog")
    assert found[0].row_ids[0] == f"{train}/cat/0.png"


def test_words_that_only_contain_a_part_are_none() -> None:
    assert part_of("trainer") is part_of("testudo") is part_of("evaluated dogs") is part_of("") is None
    assert part_of("Train-Set") == "train"


def test_a_part_to_validate_on_alone_is_all_of_val_and_no_train(tmp_path: Path) -> None:
    fill(tmp_path / "test")
    assert len(open_image_folder(tmp_path, "val")) == 6
    with pytest.raises(NoTrainPartError, match="no train split"):
        open_image_folder(tmp_path, "train")


def test_val_is_drawn_from_train_where_that_is_the_only_part(tmp_path: Path) -> None:
    fill(tmp_path / "train", count=5)
    train, val = (open_image_folder(tmp_path, split) for split in ("train", "val"))
    assert np.bincount(train.labels).tolist() == [4, 4]
    assert np.bincount(val.labels).tolist() == [1, 1]
    assert "drawn from train" in notes(val)


def test_classes_that_train_lacks_are_kept_and_said(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "val", ("cat", "emu"))
    train, val = (open_image_folder(tmp_path, split) for split in ("train", "val"))
    assert train.class_names == val.class_names == ("cat", "dog", "emu")
    assert sorted(set(val.labels.tolist())) == [0, 2]
    assert "1 classes of val that train lacks (emu)" in notes(val)
    galleries = equal_galleries(train, val, per_class=9)
    assert [set(split.labels.tolist()) for split in galleries] == [{0}, {0}]


def test_folders_without_images_are_skipped_and_said(tmp_path: Path) -> None:
    fill(tmp_path)
    for name in ("__MACOSX", "old"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/readme.txt").write_text("no image")
    found = open_image_folder(tmp_path, "train")
    assert found.class_names == ("cat", "dog")
    assert "3 folders of the data without an image, skipped (__MACOSX, notes, old)" in notes(found)


def test_a_folder_around_the_parts_is_passed_through(tmp_path: Path) -> None:
    fill(tmp_path / "archive/train")
    fill(tmp_path / "archive/test")
    found = open_image_folder(tmp_path, "val")
    assert found.class_names == ("cat", "dog")
    assert "archive is passed through" in notes(found)


@pytest.mark.parametrize(("inside", "why"), [("train", "the splits"), ("", "everything")])
def test_folders_alone_around_parts_or_classes_are_passed_through(tmp_path: Path, inside: str, why: str) -> None:
    fill(tmp_path / "archive" / "data" / inside, count=5)
    found = open_image_folder(tmp_path, "val")
    assert found.class_names == ("cat", "dog")
    assert f"archive/data is passed through: it holds {why}" in notes(found)


def test_a_part_in_a_folder_of_its_own_name_is_passed_through(tmp_path: Path) -> None:
    for part in ("seg_train", "seg_test"):
        fill(tmp_path / part / part)
    assert open_image_folder(tmp_path, "val").class_names == ("cat", "dog")


def test_parts_inside_of_classes_are_refused_and_not_mixed(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        fill(tmp_path / name / "train", ("good",))
        fill(tmp_path / name / "test", ("good", "bad"))
    with pytest.raises(DataError, match=r"2 folders .* contain splits(.|\n)*bottle has test, train"):
        open_image_folder(tmp_path, "train")


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    fill(tmp_path, ("bus", "car", "train"))
    found = open_image_folder(tmp_path, "train")
    assert found.class_names == ("bus", "car", "train")
    assert "train is read as a class" in notes(found)


def test_one_part_beside_other_folders_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path, ("extra",))
    with pytest.raises(DataError, match=r"one split and other folders(.|\n)*extra"):
        open_image_folder(tmp_path, "val")


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "Training")
    with pytest.raises(DataError, match="2 parts for train"):
        open_image_folder(tmp_path, "train")


@pytest.mark.parametrize("parts", [("",), ("train", "val")])
def test_images_without_class_folders_have_no_labels(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        for number in range(10):
            write_image(tmp_path / part / f"{number}.png", seed=number)
    train, val = (open_image_folder(tmp_path, split) for split in ("train", "val"))
    assert not train.labelled
    assert train.class_names == ()
    assert (len(train), len(val)) == ((8, 2) if parts == ("",) else (10, 10))
    assert "no labels" in notes(val)
    assert len(val.limited(2)) == 2
    assert len(train.balanced(3)) == 0


def test_an_unlabelled_test_part_does_not_stand_for_val(tmp_path: Path) -> None:
    fill(tmp_path / "train", count=5)
    write_image(tmp_path / "test/1.png")
    found = open_image_folder(tmp_path, "val")
    assert np.bincount(found.labels).tolist() == [1, 1]
    assert "not read: test, whose images have no classes" in notes(found)


@pytest.mark.parametrize("where", ["val", "val/images"])
def test_an_unlabelled_part_called_val_beside_classes_is_refused(tmp_path: Path, where: str) -> None:
    fill(tmp_path / "train")
    write_image(tmp_path / where / "1.png")
    with pytest.raises(DataError, match=r"has no class folders, but the other split has(.|\n)*csv:PATH"):
        open_image_folder(tmp_path, "val")
    assert open_image_folder(tmp_path, "train").class_names == ("cat", "dog")


@pytest.mark.parametrize("where", ["images", "images/train"])
def test_a_single_folder_called_images_is_no_class(tmp_path: Path, where: str) -> None:
    for number in range(10):
        write_image(tmp_path / where / f"{number}.png", seed=number)
    (tmp_path / "labels").mkdir()
    found = open_image_folder(tmp_path, "train")
    assert not found.labelled
    assert "images is passed through" in notes(found)


def test_a_table_that_is_not_read_beside_classes_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name,label\ncat/0.png,dog\n")
    found = open_dataset(f"imagefolder:{tmp_path}", "train")
    assert found.class_names == ("cat", "dog")
    assert "not read: metadata.csv" in notes(found)


def test_files_outside_of_classes_and_below_them_are_counted(tmp_path: Path) -> None:
    fill(tmp_path)
    write_image(tmp_path / "loose.png")
    write_image(tmp_path / "cat/more/deep.png")
    (tmp_path / "cat/Thumbs.db").write_bytes(b"x")
    found = open_image_folder(tmp_path, "train")
    assert "1 images lie outside the class folders and are left out (loose.png)" in notes(found)
    assert "1 images lie in folders below their class folder" in notes(found)
    assert "1 files whose names are not those of images, skipped (1 .db)" in notes(found)


def test_pictures_of_kinds_that_are_not_read_are_named(tmp_path: Path) -> None:
    fill(tmp_path)
    for name in ("a.npy", "b.cr2", "c.svg"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    found = open_image_folder(tmp_path, "train")
    assert [one.path for one in found.excluded] == ["cat/a.npy", "cat/b.cr2", "cat/c.svg"]
    assert "raw file" in found.excluded[1].reason


def test_heic_is_read_where_its_decoder_is_and_named_where_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the decoder of HEIC is an extra")
    from PIL import Image

    Image.init()  # formats that are registered while the list of them is replaced would be gone afterwards
    fill(tmp_path)
    heif.from_pillow(Image.open(tmp_path / "cat/0.png")).save(tmp_path / "cat/phone.HEIC")
    with monkeypatch.context() as patch:
        patch.setattr("repdiag.data.decode._knows_heif", lambda: False)
        patch.setattr("PIL.Image.ID", [kind for kind in Image.ID if kind != "HEIF"])
        found = open_image_folder(tmp_path, "train")
        assert [(one.path, "pip install" in one.reason) for one in found.excluded] == [("cat/phone.HEIC", True)]
    whole = [open_image_folder(tmp_path, split) for split in ("train", "val")]
    assert "cat/phone.HEIC" in {*whole[0].row_ids, *whole[1].row_ids}


def test_hugging_faces_metadata_beside_images_gives_labels_part_by_part(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        rows = ["file_name,label"]
        for number in range(count):
            write_image(tmp_path / part / f"{number}.png", seed=number)
            rows.append(f"{number}.png,{'cat' if number % 2 else 'dog'}")
        (tmp_path / part / "metadata.csv").write_text("\n".join(rows))
    train, val = (open_dataset(f"imagefolder:{tmp_path}", split) for split in ("train", "val"))
    assert (len(train), len(val)) == (4, 2)
    assert train.class_names == val.class_names == ("cat", "dog")
    assert train.row_ids.tolist() == [f"train/{number}.png" for number in range(4)]
    assert train.labels.tolist() == [1, 0, 1, 0]
