"""Image folders: layouts, names, links, empty classes, and unreadable files left out by name."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from image_files import write_image

from repdiag.core.errors import DataError
from repdiag.data.image_folder import open_image_folder


def test_classes_rows_and_labels(folder: Path) -> None:
    train, val = (open_image_folder(folder, split) for split in ("train", "val"))
    assert train.class_names == val.class_names == ("ant", "bee", "cow")
    assert train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert val.row_ids.tolist()[:2] == ["val/ant/0.png", "val/ant/1.png"]
    assert train.native_size is None
    assert train.image(0).shape == (3, 19, 26)
    assert train.excluded == ()


def test_a_test_folder_serves_as_val(folder: Path) -> None:
    (folder / "val").rename(folder / "test")
    assert len(open_image_folder(folder, "val")) == 9


def test_a_flat_folder_is_split_by_hash_class_by_class(folder: Path) -> None:
    train, val = (open_image_folder(folder / "train", split) for split in ("train", "val"))
    assert np.bincount(train.labels).tolist() == [5, 5, 5]
    assert np.bincount(val.labels).tolist() == [1, 1, 1]
    assert not set(train.row_ids) & set(val.row_ids)
    again = open_image_folder(folder / "train", "val")
    assert again.row_ids.tolist() == val.row_ids.tolist()


def test_extensions_of_any_case_count_and_hidden_and_other_files_do_not(folder: Path) -> None:
    write_image(folder / "train/ant/a.JPG")
    write_image(folder / "train/ant/b.Jpeg")
    write_image(folder / "train/ant/.hidden.png")
    write_image(folder / "train/.git/c.png")
    (folder / "train/ant/notes.txt").write_text("no image")
    train = open_image_folder(folder, "train")
    assert train.class_names == ("ant", "bee", "cow")
    assert train.row_ids.tolist()[6:8] == ["train/ant/a.JPG", "train/ant/b.Jpeg"]
    assert len(train) == 20
    assert train.excluded == ()


def test_folders_below_a_class_belong_to_it(folder: Path) -> None:
    write_image(folder / "train/ant/more/deep/x.png")
    assert "train/ant/more/deep/x.png" in open_image_folder(folder, "train").row_ids


@pytest.mark.parametrize("loops", [1, 2, 10])
def test_links_in_circles_list_every_file_once(folder: Path, loops: int) -> None:
    plain = open_image_folder(folder, "train").row_ids.tolist()
    for number in range(loops):
        (folder / f"train/ant/loop{number}").symlink_to(folder / "train", target_is_directory=True)
        (folder / f"train/cow/self{number}").symlink_to(folder / "train/cow", target_is_directory=True)
        (folder / f"train/bee/other{number}").symlink_to(folder / "val", target_is_directory=True)
    found = open_image_folder(folder, "train")
    assert found.row_ids.tolist() == plain
    assert len(found.excluded) == 3 * loops
    assert {one.reason for one in found.excluded} == {"a link to a folder that is listed already"}


def test_links_out_of_the_root_are_followed_once(folder: Path, tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"elsewhere/{number}.png", seed=99 + number)
    (folder / "train/dog").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "train/ant/again").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "train/ant/gone.png").symlink_to(tmp_path / "nothing.png")
    found = open_image_folder(folder, "train")
    assert [name for name in found.row_ids if "dog" in name] == [f"train/dog/{number}.png" for number in range(3)]
    reasons = {one.path: one.reason for one in found.excluded}
    assert reasons == {
        "train/ant/again": "a link to a folder that is listed already",
        "train/ant/gone.png": "a broken link",
    }


def test_a_real_folder_goes_before_a_link_to_it(folder: Path) -> None:
    (folder / "train/aaa").symlink_to(folder / "train/cow", target_is_directory=True)
    found = open_image_folder(folder, "train")
    assert found.class_names == ("ant", "bee", "cow")


def test_odd_names_are_read_and_told_apart(folder: Path) -> None:
    names = ["日本 語.png", "שלום.png", "🦋.png", "line\nbreak.png", "a'b\"c<d>&.png", "-rf.png", " .png"]
    for number, name in enumerate(names):
        write_image(folder / "train/ant" / name, seed=200 + number)
    raw = os.fsencode(folder / "train/ant") + b"/not-\xff\xfe-utf8.png"
    shutil.copy(folder / "train/ant/0.png", os.fsdecode(raw))
    found = open_image_folder(folder, "train")
    ids = found.row_ids.tolist()
    assert {f"train/ant/{name}" for name in names} <= set(ids)
    odd = ids.index("train/ant/not-\\xff\\xfe-utf8.png")
    ids[odd].encode("utf-8")
    np.testing.assert_array_equal(found.image(odd), found.image(ids.index("train/ant/0.png")))
    assert open_image_folder(folder, "train").fingerprint == found.fingerprint


def spoil(folder: Path) -> dict[str, str]:
    """Add six unreadable files; return what the reason of each must say."""
    whole = write_image(folder / "train/ant/source.jpg", height=60, width=60).read_bytes()
    bad = {
        "train/ant/cut.jpg": (whole[: len(whole) // 2], "truncated"),
        "train/ant/empty.png": (b"", "empty"),
        "train/bee/text.jpg": (b"hello", "not an image"),
        "train/bee/html.png": (b"<html>" * 50, "not an image"),
        "train/cow/zero.gif": (b"\0" * 500, "not an image"),
        "train/cow/half.png": ((folder / "train/cow/0.png").read_bytes()[:200], "truncated"),
    }
    for name, (data, _) in bad.items():
        (folder / name).write_bytes(data)
    return {name: reason for name, (_, reason) in bad.items()}


def test_unreadable_files_are_left_out_and_named_each_once(folder: Path) -> None:
    wanted = spoil(folder)
    found = open_image_folder(folder, "train")
    assert len(found) == 19
    assert [one.path for one in found.excluded] == sorted(wanted)
    for one in found.excluded:
        assert wanted[one.path] in one.reason
    assert not set(wanted) & set(found.row_ids)
    # Nobody took their place: every row shows its own file.
    clean = {name: found.image(row) for row, name in enumerate(found.row_ids)}
    for name in wanted:
        (folder / name).unlink()
    again = open_image_folder(folder, "train")
    assert again.row_ids.tolist() == found.row_ids.tolist()
    assert again.fingerprint == found.fingerprint
    for row, name in enumerate(again.row_ids):
        np.testing.assert_array_equal(again.image(row), clean[name])


def test_strict_makes_an_unreadable_file_an_error_that_names_it(folder: Path) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=r"6 files.*\n.*train/ant/cut\.jpg"):
        open_image_folder(folder, "train", strict=True)


def test_without_the_check_the_error_comes_when_its_turn_comes(folder: Path) -> None:
    spoil(folder)
    found = open_image_folder(folder, "train", check=False)
    assert len(found) == 25
    with pytest.raises(DataError, match=r"train/ant/cut\.jpg cannot be read"):
        found.image(found.row_ids.tolist().index("train/ant/cut.jpg"))


@pytest.mark.parametrize(
    ("spoiler", "message"),
    [
        (lambda root: write_text(root / "train/dog/a.png"), r"hold no readable image(.|\n)*dog"),
        (shutil.rmtree, "not a folder"),
        (lambda root: [shutil.rmtree(root / "train" / name) for name in ("ant", "bee", "cow")], "no class folders"),
    ],
    ids=["unreadable class", "no root", "no class"],
)
def test_what_is_missing_is_said(folder: Path, spoiler: object, message: str) -> None:
    spoiler(folder)
    with pytest.raises(DataError, match=message):
        [open_image_folder(folder, split) for split in ("train", "val")]


def write_text(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("no image")


def test_one_class_is_a_dataset(tmp_path: Path) -> None:
    for number in range(5):
        write_image(tmp_path / f"flat/only/{number}.png", seed=number)
    assert len(open_image_folder(tmp_path / "flat", "train")) == 4
    assert len(open_image_folder(tmp_path / "flat", "val")) == 1


def test_the_fingerprint_follows_content_and_not_place(folder: Path, tmp_path: Path) -> None:
    first = open_image_folder(folder, "train").fingerprint
    shutil.copytree(folder, tmp_path / "moved")
    assert open_image_folder(tmp_path / "moved", "train").fingerprint == first
    write_image(folder / "train/ant/0.png", seed=77)
    assert open_image_folder(folder, "train").fingerprint != first
