"""Tables of image files: columns found or named, parts, groups, missing and doubled files, and nothing by guess."""

from pathlib import Path

import numpy as np
import pytest
from image_files import write_image

from repdiag.core.errors import DataError, UsageError
from repdiag.data.datasets import open_dataset
from repdiag.data.image_split import ImageSplit


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve images below pictures/."""
    for number in range(12):
        write_image(tmp_path / f"pictures/{number:02d}.png", seed=number)
    return tmp_path


def name_of(number: int) -> str:
    return "cat" if number % 2 else "dog"


def table(root: Path, header: str, line: str, name: str = "list.csv") -> str:
    """Write a table whose lines are filled in with n (the number) and c (the class); return its data name."""
    rows = [line.format(n=f"{number:02d}", c=name_of(number), i=number) for number in range(12)]
    (root / name).write_text("\n".join(([header] if header else []) + rows) + "\n")
    return f"csv:{root / name}"


def both(spec: str) -> tuple[ImageSplit, ImageSplit]:
    train, val = (open_dataset(spec, split) for split in ("train", "val"))
    return train, val


def check(train: ImageSplit, val: ImageSplit) -> None:
    """All twelve images are there, once, each with its own label and pixels."""
    assert train.class_names == val.class_names == ("cat", "dog")
    found = {}
    for split in (train, val):
        for row, label in zip(split.row_ids, split.labels, strict=True):
            found[Path(row).stem] = split.class_names[label]
    assert found == {f"{number:02d}": name_of(number) for number in range(12)}


def notes(split: ImageSplit) -> str:
    return "; ".join(map(str, split.notes))


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("path,label", "pictures/{n}.png,{c}"),
        ("filename,species", "pictures/{n}.png,{c}"),
        ("label,image", "{c},pictures/{n}.png"),
        ("image_id,dx", "{n},{c}"),
        ("ID,Breed", "{n}.png,{c}"),
        ("file;klass", "pictures/{n}.png;{c}"),
        ("img\tcategory", "pictures\\{n}.png\t{c}"),
        ("", "pictures/{n}.png,{c}"),
        ("", "pictures/{n}.png {c}"),
        ("", "pictures/{n}.png\t{c}"),
        ("0,1", "pictures/{n}.png,{c}"),
        (",path,target,width", "{n},./pictures/{n}.png,{c},26"),
        (" path , label ", "pictures/{n}.png, {c}"),
    ],
)
def test_columns_are_found_by_usual_names_or_by_what_they_hold(pictures: Path, header: str, line: str) -> None:
    train, val = both(table(pictures, header, line))
    check(train, val)
    assert "columns: image=" in notes(train)


def test_one_hot_columns_are_classes(pictures: Path) -> None:
    lines = ["image,cat,dog"]
    lines += [f"{n:02d},{float(n % 2)},{float(1 - n % 2)}" for n in range(12)]
    (pictures / "truth.csv").write_text("\n".join(lines))
    train, val = both(f"csv:{pictures / 'truth.csv'}")
    check(train, val)
    assert "label=cat+dog" in notes(train)


def test_absolute_paths_json_lines_and_a_byte_order_mark(pictures: Path) -> None:
    check(*both(table(pictures, "\ufeffpath,label", f"{pictures}/pictures/{{n}}.png,{{c}}")))
    lines = [f'{{"file_name": "pictures/{n:02d}.png", "label": "{name_of(n)}"}}' for n in range(12)]
    (pictures / "list.jsonl").write_text("\n".join(lines))
    check(*both(f"csv:{pictures / 'list.jsonl'}"))


def test_a_root_says_where_paths_begin(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    spec = table(tmp_path / "tables", "path,label", "{n}.png,{c}")
    with pytest.raises(DataError, match=r"no column of list\.csv holds paths"):
        both(spec)
    train, val = both(f"{spec},root={pictures / 'pictures'}")
    assert len(train) + len(val) == 12


def test_a_column_of_parts_splits(pictures: Path) -> None:
    spec = table(pictures, "path,label,split", "pictures/{n}.png,{c},{i}")
    text = (pictures / "list.csv").read_text()
    for number in range(12):
        part = ("Training", "Training", "Test")[number % 3]
        text = text.replace(f".png,{name_of(number)},{number}\n", f".png,{name_of(number)},{part}\n")
    (pictures / "list.csv").write_text(text)
    train, val = both(spec)
    assert (len(train), len(val)) == (8, 4)
    check(train, val)
    assert all(int(Path(row).stem) % 3 == 2 for row in val.row_ids)


def test_folds_are_no_parts_unless_asked_and_then_refused(pictures: Path) -> None:
    spec = table(pictures, "path,label,fold", "pictures/{n}.png,{c},{i}")
    train, _ = both(spec)
    assert "not read: fold" in notes(train)
    with pytest.raises(DataError, match="12 values that name no part"):
        both(f"{spec},split=fold")


def test_groups_stay_on_one_side(pictures: Path) -> None:
    spec = table(pictures, "path,label,patient_id", "pictures/{n}.png,{c},{i}")
    text = (pictures / "list.csv").read_text().splitlines()
    text = [text[0], *(f"{line.rsplit(',', 1)[0]},p{number // 3}" for number, line in enumerate(text[1:]))]
    (pictures / "list.csv").write_text("\n".join(text))
    train, val = both(spec)
    check(train, val)
    assert train.groups is not None
    assert val.groups is not None
    assert not set(train.groups) & set(val.groups)
    assert len(set(val.groups)) == 1
    assert "stay together" in notes(train)
    assert both(f"{spec},group=none")[0].groups is None


@pytest.mark.parametrize("empty", ["", "-1", "nan", "NA"])
def test_empty_labels_are_images_without_a_label(pictures: Path, empty: str) -> None:
    spec = table(pictures, "path,label", "pictures/{n}.png,{c}")
    (pictures / "list.csv").write_text((pictures / "list.csv").read_text().replace("00.png,dog", f"00.png,{empty}"))
    train, val = both(spec)
    assert train.class_names == ("cat", "dog")
    unlabelled = [row for split in (train, val) for row in split.row_ids[split.labels < 0]]
    assert unlabelled == ["pictures/00.png"]
    assert "1 images without a label" in notes(train)
    assert "pictures/00.png" not in train.balanced(99).row_ids


def test_missing_files_are_counted_and_most_of_them_missing_is_refused(pictures: Path) -> None:
    spec = table(pictures, "path,label", "pictures/{n}.png,{c}")
    for number in range(3):
        (pictures / f"pictures/{number:02d}.png").unlink()
    train, _ = both(spec)
    assert [(one.path, one.reason) for one in train.excluded] == [
        (f"pictures/{number:02d}.png", "no such file") for number in range(3)
    ]
    assert "3 rows left out: no such file" in notes(train)
    for number in range(3, 9):
        (pictures / f"pictures/{number:02d}.png").unlink()
    with pytest.raises(DataError, match=r"9 of 12 rows .* name no readable file|holds paths of existing files"):
        both(spec)


def test_a_file_with_two_labels_is_refused_and_one_named_twice_is_left_out(pictures: Path) -> None:
    spec = table(pictures, "path,label", "pictures/{n}.png,{c}")
    text = (pictures / "list.csv").read_text()
    (pictures / "list.csv").write_text(text + "pictures/03.png,cat\n")
    assert "1 rows that repeat a file, left out" in notes(both(spec)[0])
    (pictures / "list.csv").write_text(text + "pictures/03.png,dog\n")
    with pytest.raises(DataError, match=r"1 rows .* another label(.|\n)*pictures/03\.png"):
        both(spec)


def test_columns_that_may_all_be_labels_are_asked_about(pictures: Path) -> None:
    spec = table(pictures, "path,colour,shape", "pictures/{n}.png,{c},{c}")
    with pytest.raises(UsageError, match=r"2 columns .* may hold the labels(.|\n)*,label=colour"):
        both(spec)
    check(*both(f"{spec},label=shape"))
    assert not both(f"{spec},label=none")[0].labelled
    with pytest.raises(UsageError, match="did you mean: shape"):
        both(f"{spec},label=shap")
    with pytest.raises(UsageError, match="did you mean: label"):
        both(f"{spec},lable=shape")


def test_an_empty_table_is_refused(pictures: Path) -> None:
    write_image(pictures / "0.png")  # the number of a column is no name of a file
    for text in ("", "\n\n", "path,label\n"):
        (pictures / "empty.csv").write_text(text)
        with pytest.raises(DataError, match=r"it is empty|no column of empty\.csv holds paths"):
            both(f"csv:{pictures / 'empty.csv'}")


def test_several_names_in_one_label_are_said(pictures: Path) -> None:
    spec = table(pictures, "path,label", "pictures/{n}.png,{c}")
    (pictures / "list.csv").write_text((pictures / "list.csv").read_text().replace("00.png,dog", "00.png,dog|cat"))
    train, _ = both(spec)
    assert "1 labels of several names at once, such as dog|cat" in notes(train)


def test_measurements_are_no_classes(pictures: Path) -> None:
    with pytest.raises(DataError, match="holds numbers instead of classes"):
        both(table(pictures, "path,label", "pictures/{n}.png,0.{n}5"))


def test_numbers_of_classes_are_in_order(pictures: Path) -> None:
    train, _ = both(table(pictures, "path,label", "pictures/{n}.png,{i}"))
    assert train.class_names == tuple(map(str, range(12)))


def test_the_fingerprint_follows_pixels_labels_and_nothing_else(pictures: Path) -> None:
    spec = table(pictures, "path,label", "pictures/{n}.png,{c}")
    first = both(spec)[0]
    (pictures / "list.csv").rename(pictures / "other.csv")
    again = both(f"csv:{pictures / 'other.csv'}")[0]
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.row_ids, first.row_ids)
    for number in range(12):
        write_image(pictures / f"pictures/{number:02d}.png", seed=50 + number)
    assert both(f"csv:{pictures / 'other.csv'}")[0].fingerprint != first.fingerprint
