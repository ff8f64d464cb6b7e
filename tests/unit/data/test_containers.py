"""Zip, tar, parquet, Arrow, LMDB and own datasets: the pixels and labels of the files that went in, or a refusal."""

import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from image_files import write_image

from repdiag.core.errors import ConfigError, DataError, UsageError
from repdiag.data.datasets import open_dataset
from repdiag.data.decode import decode
from repdiag.data.image_split import ImageSplit


@pytest.fixture
def encoded(tmp_path: Path) -> dict[str, bytes]:
    """Twelve image files by number, six of each class, with their bytes."""
    return {f"{n:02d}": write_image(tmp_path / f"made/{n:02d}.png", seed=n).read_bytes() for n in range(12)}


def name_of(number: str) -> str:
    return "cat" if int(number) % 2 else "dog"


def both(spec: str) -> tuple[ImageSplit, ImageSplit]:
    train, val = (open_dataset(spec, split) for split in ("train", "val"))
    return train, val


def check(splits: tuple[ImageSplit, ImageSplit], encoded: Mapping[str, bytes], names: Mapping[str, str]) -> None:
    """Every image is there once, with its own pixels and label; `names` maps class names to those of `name_of`."""
    wanted = {decode(data).numpy().tobytes(): name_of(number) for number, data in encoded.items()}
    found = {}
    for split in splits:
        for row in range(len(split)):
            found[split.image(row).numpy().tobytes()] = names[split.class_names[split.labels[row]]]
    assert found == wanted
    assert sum(map(len, splits)) == len(encoded)
    assert not set(splits[0].row_ids) & set(splits[1].row_ids)


SAME = {"cat": "cat", "dog": "dog"}
CODED = {"0": "dog", "1": "cat"}


def notes(split: ImageSplit) -> str:
    return "; ".join(map(str, split.notes))


def write_zip(path: Path, members: Mapping[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return f"zip:{path}"


@pytest.mark.parametrize("wrapper", ["", "photos/", "a/b/"])
def test_a_zip_of_class_folders(tmp_path: Path, encoded: dict[str, bytes], wrapper: str) -> None:
    members = {f"{wrapper}{name_of(number)}/{number}.png": data for number, data in encoded.items()}
    junk = {"__MACOSX/cat/._1.png": b"x", f"{wrapper}readme.txt": b"x", f"{wrapper}cat/.DS_Store": b"x"}
    splits = both(write_zip(tmp_path / "photos.zip", members | junk))
    check(splits, encoded, SAME)
    assert "1 files whose names are not those of images" in notes(splits[0])


def test_a_zip_with_parts_and_a_zip_without_folders(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    parts = {number: "Test" if number > "08" else "Train" for number in encoded}
    members = {f"set/{parts[number]}/{name_of(number)}/{number}.png": data for number, data in encoded.items()}
    splits = both(write_zip(tmp_path / "parts.zip", members))
    check(splits, encoded, SAME)
    assert [len(split) for split in splits] == [9, 3]
    bare = both(write_zip(tmp_path / "bare.zip", {f"{number}.png": data for number, data in encoded.items()}))
    assert not bare[0].labelled
    mixed = {f"{name}/{part}/1.png": encoded["00"] for name in ("a", "b") for part in ("train", "test")}
    with pytest.raises(DataError, match="contain splits, so splits of one class would be mixed"):
        both(write_zip(tmp_path / "mixed.zip", mixed))


def test_damaged_archives_are_named(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    spec = write_zip(tmp_path / "half.zip", {f"a/{number}.png": data for number, data in encoded.items()})
    (tmp_path / "half.zip").write_bytes((tmp_path / "half.zip").read_bytes()[:900])
    (tmp_path / "half.tar").write_bytes(b"no tar" * 400)
    for broken, kind in ((spec, "zip"), (f"wds:{tmp_path / 'half.tar'}", "tar")):
        with pytest.raises(DataError, match=f"not a complete {kind}"):
            open_dataset(broken, "train")


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("label", ["cls", "json", "name", "folder"])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_webdataset_samples_with_labels_of_any_kind(
    tmp_path: Path, encoded: dict[str, bytes], label: str, mode: str
) -> None:
    members = {}
    for number, data in encoded.items():
        key = f"{name_of(number)}/{number}" if label == "folder" else number
        members[f"{key}.png"] = data
        members |= {
            "cls": {f"{key}.cls": str(int(number) % 2).encode()},
            "json": {f"{key}.json": json.dumps({"label": int(number) % 2, "caption": "x"}).encode()},
            "name": {f"{key}.cls": name_of(number).encode(), f"{key}.txt": b"a caption"},
            "folder": {},
        }[label]
    path = write_tar(tmp_path / f"shard-000.tar{'.gz' if mode == 'w:gz' else ''}", members, mode)
    splits = both(f"wds:{path}")
    check(splits, encoded, CODED if label in ("cls", "json") else SAME)
    assert ("12 members next to the images, not read (12 txt)" in notes(splits[0])) == (label == "name")


def test_shards_by_braces_folders_and_parts(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    for shard in range(3):
        members = {}
        for number in list(encoded)[4 * shard : 4 * shard + 4]:
            members |= {f"{number}.png": encoded[number], f"{number}.cls": str(int(number) % 2).encode()}
        part = "val" if shard == 2 else "train"
        write_tar(tmp_path / f"shards/photos-{part}-{shard:06d}.tar", members)
    whole = both(f"wds:{tmp_path}/shards")
    check(whole, encoded, CODED)
    assert [len(split) for split in whole] == [8, 4]
    named = both(f"wds:{tmp_path}/shards/photos-train-{{000000..000001}}.tar::{tmp_path}/shards/photos-val-000002.tar")
    assert named[0].fingerprint == whole[0].fingerprint
    starred = open_dataset(f"wds:{tmp_path}/shards/*-train-*.tar", "train")
    assert len(starred) == 8 - 2  # train alone: val is drawn from it
    with pytest.raises(DataError, match=r"000002\.tar is not here"):
        both(f"wds:{tmp_path}/shards/photos-train-{{000001..000002}}.tar")


def test_several_images_a_sample_are_asked_about_and_pickles_never_read(
    tmp_path: Path, encoded: dict[str, bytes]
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("a pickle was loaded",))

    members = {}
    for number, data in encoded.items():
        members |= {
            f"{number}.input.png": data,
            f"{number}.mask.png": encoded["00"],
            f"{number}.cls": str(int(number) % 2).encode(),
            f"{number}.meta.pyd": pickle.dumps(Bomb()),
        }
    path = write_tar(tmp_path / "pairs.tar", members)
    with pytest.raises(UsageError, match=r"12 samples .* several images(.|\n)*,image=input\.png"):
        both(f"wds:{path}")
    check(both(f"wds:{path},image=input.png"), encoded, CODED)


HF = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}}}


def arrow(encoded: Mapping[str, bytes], *, named: bool = True) -> pa.Table:
    images = [{"bytes": data, "path": f"{number}.png"} for number, data in encoded.items()]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = pa.array([int(number) % 2 for number in encoded], pa.int64())
    table = pa.table({"image": pa.array(images, kind), "label": labels})
    return table.replace_schema_metadata({"huggingface": json.dumps(HF)} if named else {})


def save_to_disk(folder: Path, table: pa.Table) -> None:
    """Write what Hugging Face's `Dataset.save_to_disk` writes: an Arrow stream and its state."""
    folder.mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as out,
    ):
        out.write_table(table, max_chunksize=5)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": None, "_format_type": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


def test_hugging_faces_data_set_on_disk(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    save_to_disk(tmp_path / "one", arrow(encoded))
    check(both(f"hf:{tmp_path}/one"), encoded, SAME)
    halves = [dict(list(encoded.items())[:8]), dict(list(encoded.items())[8:])]
    for part, half in zip(("train", "validation"), halves, strict=True):
        save_to_disk(tmp_path / "dict" / part, arrow(half))
    (tmp_path / "dict/dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    splits = both(f"hf:{tmp_path}/dict")
    check(splits, encoded, SAME)
    assert [len(split) for split in splits] == [8, 4]
    assert splits[0].class_names == ("dog", "cat")  # in the order of the schema
    save_to_disk(tmp_path / "configs/small", arrow(encoded))
    check(both(f"hf:{tmp_path}/configs:small"), encoded, SAME)


def test_rows_in_an_order_beside_their_tables_are_refused(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    save_to_disk(tmp_path / "one", arrow(encoded))
    state = json.loads((tmp_path / "one/state.json").read_text()) | {"_indices_data_files": [{"filename": "i.arrow"}]}
    (tmp_path / "one/state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="flatten_indices"):
        both(f"hf:{tmp_path}/one")


@pytest.mark.parametrize("named", [True, False])
def test_parquet_with_encoded_images_is_unpacked_once(
    tmp_path: Path, encoded: dict[str, bytes], named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(arrow(encoded, named=named), tmp_path / "all.parquet", row_group_size=5)
    first = both(f"parquet:{tmp_path}/all.parquet")
    check(first, encoded, SAME if named else CODED)
    monkeypatch.setattr("repdiag.data.sources.arrow_tables.write_atomic", None)
    check(both(f"hf:{tmp_path}/all.parquet"), encoded, SAME if named else CODED)


def test_hub_folders_of_parquet_parts_and_configurations(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    items = list(encoded.items())
    for config in ("en", "de"):
        for part, half in (("train", items[:8]), ("test", items[8:])):
            (tmp_path / config).mkdir(exist_ok=True)
            pq.write_table(arrow(dict(half)), tmp_path / config / f"{part}-00000-of-00001.parquet")
    with pytest.raises(UsageError, match=r"2 configurations(.|\n)*hf:.*:de"):
        both(f"hf:{tmp_path}")
    splits = both(f"hf:{tmp_path}:en")
    check(splits, encoded, SAME)
    assert [len(split) for split in splits] == [8, 4]


def test_tables_without_images_say_what_they_have(tmp_path: Path) -> None:
    pq.write_table(pa.table({"pixels": [[1, 2]], "label": [0]}), tmp_path / "vectors.parquet")
    with pytest.raises(DataError, match=r"no column of vectors\.parquet holds paths"):
        both(f"parquet:{tmp_path}/vectors.parquet")


def test_lmdb_of_images_under_either_naming(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    lmdb = pytest.importorskip("lmdb", reason="LMDB needs the extra images")

    def write(name: str, values: Mapping[str, bytes]) -> str:
        with lmdb.open(str(tmp_path / name), map_size=1 << 24) as opened, opened.begin(write=True) as transaction:
            for key, value in values.items():
                transaction.put(key.encode(), value)
        return f"lmdb:{tmp_path / name}"

    paired = {f"image-{int(number) + 1:09d}": data for number, data in encoded.items()}
    paired |= {f"label-{int(number) + 1:09d}": name_of(number).encode() for number in encoded}
    check(both(write("paired", paired | {"num-samples": b"12"})), encoded, SAME)
    check(
        both(write("folders", {f"{name_of(number)}/{number}": data for number, data in encoded.items()})), encoded, SAME
    )
    with pytest.raises(DataError, match=r"no value .* is an image file(.|\n)*pickled"):
        both(write("pickled", {number: pickle.dumps((data, 1)) for number, data in encoded.items()}))


OWN = """
import numpy as np, torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

class Squares(Dataset):
    classes = ("dark", "bright")
    def __init__(self, count=10, kind="array"):
        self.count, self.kind = count, kind
    def __len__(self):
        return self.count
    def __getitem__(self, row):
        pixels = np.full((9, 11, 3), 10 * row, np.uint8)
        made = {"array": pixels, "pil": Image.fromarray(pixels),
                "float": torch.from_numpy(pixels / 255.0).permute(2, 0, 1),
                "normalised": torch.from_numpy(pixels / 255.0 - 2.0).permute(2, 0, 1),
                "random": np.random.default_rng().integers(0, 256, (9, 11, 3)).astype(np.uint8),
                "many": np.full((5, 9, 11), row / 10, np.float32)}[self.kind]
        return {"image": made, "label": int(row >= 5)} if self.kind == "pil" else (made, int(row >= 5))

def whole(): return Squares()
def deep(): return [(np.full((8, 9), 300 * row, np.uint16), row % 2) for row in range(10)]
def pil(): return Squares(kind="pil")
def floats(): return Squares(kind="float")
def normalised(): return Squares(kind="normalised")
def rand(): return Squares(kind="random")
def many(): return Squares(kind="many")
def by_split(split): return Squares(6 if split == "train" else 4)
def by_part(): return {"training": Squares(8), "test": Squares(3)}
def stream():
    class Stream(IterableDataset):
        def __iter__(self): yield from ()
    return Stream()
def broken(): raise RuntimeError("no disk")
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(OWN)
    return f"{tmp_path}/mine.py"


@pytest.mark.parametrize("function", ["whole", "pil", "floats"])
def test_an_own_dataset_in_any_usual_form(own: str, function: str) -> None:
    train, val = both(f"{own}:{function}")
    assert (len(train), len(val)) == (8, 2)
    assert train.class_names == ("dark", "bright")
    for split in (train, val):
        for row, name in enumerate(split.row_ids):
            number = int(name.split("/")[1])
            assert torch.equal(split.image(row), torch.full((3, 9, 11), 10 * number, dtype=torch.uint8))
            assert split.labels[row] == int(number >= 5)


def test_an_own_dataset_may_take_the_split_or_return_parts(own: str) -> None:
    assert [len(split) for split in both(f"{own}:by_split")] == [6, 4]
    assert [len(split) for split in both(f"{own}:by_part")] == [8, 3]
    options = both(f"{own}:many,channels=3+2+1")[0]
    assert options.channels == 3
    with pytest.raises(UsageError, match="takes no option label"):
        both(f"{own}:many,label=x")
    with pytest.raises(UsageError, match="digits takes no option levels"):
        both("digits,levels=12bit")
    many = both(f"{own}:many")[0]
    assert many.channels == 5
    assert many.statistics is not None
    assert np.allclose(many.statistics.mean, many.statistics.mean[0])


def test_what_is_done_to_an_own_datasets_images_is_counted(own: str) -> None:
    said = notes(both(f"{own}:deep")[0])
    assert "10 images gray" in said
    assert "10 images of 16 bits" in said
    assert "no level above 2700 of 65535" in said
    assert "10 images of floats in [0, 1], rounded to 8 bits" in notes(both(f"{own}:floats")[0])


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("normalised", DataError, r"before normalisation"),
        ("rand", DataError, "different pixels on each call"),
        ("stream", DataError, "with a length and items"),
        ("broken", ConfigError, r"RuntimeError: no disk"),
        ("hole", UsageError, "did you mean: whole"),
    ],
)
def test_what_an_own_dataset_must_not_be(own: str, function: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        both(f"{own}:{function}")


def test_a_path_without_its_kind_is_told_how_it_is_named(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    write_zip(tmp_path / "photos.zip", {"a/1.png": encoded["00"]})
    with pytest.raises(UsageError, match="named zip:"):
        open_dataset(f"{tmp_path}/photos.zip", "train")
    with pytest.raises(UsageError, match="name it zip:"):
        open_dataset(f"imagefolder:{tmp_path}/photos.zip", "train")
    with pytest.raises(UsageError, match="no columns to name"):
        open_dataset(f"zip:{tmp_path}/photos.zip,label=x", "train")
