"""`hf:PATH[:CONFIG]` and `parquet:PATH`: tables whose rows hold encoded images, Hugging Face's on disk among them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from repdiag.core.errors import DataError, StoreError, UsageError, unknown_name
from repdiag.core.files import write_atomic
from repdiag.data.assembly import ReadRequest
from repdiag.data.folders import cache_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.sources.columns import read_columns
from repdiag.data.sources.listing import Listing, open_listing
from repdiag.data.sources.path_table import metadata_tables, open_path_table
from repdiag.data.splits import part_of
from repdiag.data.walk import FoundFile

_UNPACK_VERSION = 1  # raised when a parquet file unpacks to other bytes


def open_hugging_face(
    path: Path, split: str, *, config: str | None, options: Mapping[str, str], request: ReadRequest, name: str
) -> ImageSplit:
    """Open a split of what `save_to_disk` wrote, of a folder of parquet files, or of one with a metadata file."""
    if path.is_file():
        return open_parquet(path, split, options=options, request=request, name=name)
    place = path / config if config and (path / config).is_dir() else path
    if not place.exists():
        raise DataError(
            f"{path} is not here", hint="give a folder that save_to_disk wrote, or a folder of parquet files"
        )
    saved = _saved_parts(place)
    if saved:
        return _open_tables(saved, split, options=options, request=request, name=name, root=place)
    tables = metadata_tables(place)
    files = _parquet_files(place, config if place == path else None)
    if tables:
        return open_path_table(tables, split, options=options, request=request, name=name)
    if not files:
        raise DataError(
            f"{place} holds no Hugging Face dataset",
            found=", ".join(sorted(one.name for one in place.iterdir())[:8]) if place.is_dir() else None,
            hint="state.json or dataset_dict.json (save_to_disk), *.parquet, or metadata.csv next to images",
        )
    return _open_tables(files, split, options=options, request=request, name=name, root=place)


def open_parquet(path: Path, split: str, *, options: Mapping[str, str], request: ReadRequest, name: str) -> ImageSplit:
    """Open a split of a parquet file, or of a folder of them, whose rows hold encoded images."""
    files = {path: None} if path.is_file() else _parquet_files(path, None)
    if not files:
        raise DataError(f"{path} holds no parquet file", hint="name a .parquet file or a folder of them")
    if path.is_file() and _image_columns(pq.read_schema(path)) == []:
        return open_path_table({path: None}, split, options=options, request=request, name=name)
    return _open_tables(files, split, options=options, request=request, name=name, root=path)


def _saved_parts(place: Path) -> dict[Path, str | None]:
    """Return the Arrow files of a data set that `save_to_disk` wrote, with the part of each."""
    listed = place / "dataset_dict.json"
    try:
        if listed.is_file():
            parts = [str(one) for one in json.loads(listed.read_text("utf-8"))["splits"]]
            return {file: part for part in parts for file in _saved_files(place / part)}
        if (place / "state.json").is_file():
            return dict.fromkeys(_saved_files(place))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{place} is damaged", found=" ".join(str(error).split())[:200]) from error
    loose = sorted(place.glob("*.arrow")) if place.is_dir() else []
    return {file: _part_in_name(file.stem) for file in loose if not file.name.startswith("cache-")}


def _saved_files(folder: Path) -> list[Path]:
    state = json.loads((folder / "state.json").read_text("utf-8"))
    if state.get("_indices_data_files"):
        raise DataError(
            f"{folder} stores the order of its rows outside its tables",
            hint="write it again: ds.flatten_indices().save_to_disk(...)",
        )
    return [folder / str(one["filename"]) for one in state["_data_files"]]


def _parquet_files(place: Path, config: str | None) -> dict[Path, str | None]:
    files = sorted(place.glob("**/*.parquet")) if place.is_dir() else []
    if config is not None:
        files = [
            one for one in files if config in one.relative_to(place).parts[:-1] or one.name.startswith(f"{config}-")
        ]
        if not files:
            raise DataError(f"{place} has no files of the configuration {config}", hint="leave :CONFIG out to see all")
    configs = sorted({one.relative_to(place).parts[0] for one in files if len(one.relative_to(place).parts) > 1})
    configs = [one for one in configs if one != "data" and part_of(one) is None]
    if config is None and len(configs) > 1:
        raise UsageError(f"{place} holds {len(configs)} configurations", found=", ".join(configs[:8]),
                         hint=f"name one: hf:{place}:{configs[0]}")  # fmt: skip
    return {one: _part_in_name(one.stem) or _part_in_name(one.parent.name) for one in files}


def _part_in_name(stem: str) -> str | None:
    """Return the part in names such as train-00000-of-00004 or food101-validation."""
    for piece in stem.replace("_", "-").split("-"):
        if part_of(piece) is not None:
            return piece
    return None


def _open_tables(
    files: Mapping[Path, str | None],
    split: str,
    *,
    options: Mapping[str, str],
    request: ReadRequest,
    name: str,
    root: Path,
) -> ImageSplit:
    named = [_TableFile(file, part) for file, part in files.items()]
    schema = named[0].schema()
    column = _image_column(schema, options, name)
    names = _class_names(schema)
    rest = [one for one in schema.names if one not in _image_columns(schema)]
    parts = {one.part for one in named}
    archive = ArrowImages(root, {one.prefix(): one.arrow_file(column) for one in named}, column)
    frames, found, said = [], [], []
    for one, table in zip(named, archive.tables().values(), strict=True):
        frame = one.columns(rest)
        for coded, classes in names.items():
            frame[coded] = [classes[int(number)] if number == number and number >= 0 else None  # noqa: PLR0124
                            for number in frame[coded].astype(float)]  # fmt: skip
        frames.append(frame)
        found += one.entries(table, column)
        said += [one.part] * len(frame)
    import pandas as pd

    together = pd.concat(frames, ignore_index=True)
    rows = read_columns(together, options, image=column, where=name)
    label = next((one for one in names if f"label={one}" in str(rows.notes[0])), None)
    of_files = tuple(None if part is None else part_of(part) for part in said)
    strange = sorted({part for part in parts if part is not None and part_of(part) is None})
    notes = (*rows.notes, *(ReadingNote(what=f"not read: the part {part}") for part in strange))
    listing = Listing(
        name=name,
        archive=archive,
        files=found,
        labels=rows.labels,
        parts=rows.parts if any(rows.parts) else of_files,
        groups=rows.groups,
        class_names=tuple(names[label]) if label is not None else None,
        notes=notes,
    )
    return open_listing(listing, split, request)


@dataclass(frozen=True)
class _TableFile:
    path: Path
    part: str | None

    def schema(self) -> Any:
        if self.path.suffix == ".parquet":
            return pq.read_schema(self.path)
        return _read_arrow(self.path).schema

    def columns(self, names: Sequence[str]) -> Any:
        if self.path.suffix == ".parquet":
            return pq.read_table(self.path, columns=list(names)).to_pandas()
        return _read_arrow(self.path).select(list(names)).to_pandas()

    def arrow_file(self, column: str) -> Path:
        """Return the file itself, or of a parquet file a copy of its images that can be read row by row."""
        return _unpacked(self.path, column) if self.path.suffix == ".parquet" else self.path

    def prefix(self) -> str:
        """Return what the names of its rows start with."""
        return f"{self.path.parent.name}/{self.path.stem}"

    def entries(self, table: Any, column: str) -> list[FoundFile]:
        """Return one entry a row: its name says part or file and row."""
        status = self.path.stat()
        values = table[column]
        inside = pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values
        sizes = pc.fill_null(pc.binary_length(inside), 0).to_pylist()
        return [
            FoundFile(f"{self.prefix()}/{row:06d}", size, status.st_mtime_ns, status.st_ctime_ns)
            for row, size in enumerate(sizes)
        ]


class ArrowImages:
    """The encoded images of some Arrow files, mapped into memory by each process for itself."""

    def __init__(self, root: Path, files: Mapping[str, Path], column: str) -> None:
        self.root, self.files, self.column = root, dict(files), column
        self._tables: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_tables": None}

    def tables(self) -> dict[str, Any]:
        """Return the tables by what the names of their rows start with, opened at the first call."""
        if self._tables is None:
            self._tables = {prefix: _read_arrow(file) for prefix, file in self.files.items()}
        return self._tables

    def read(self, path: str) -> bytes:
        """Return the bytes of one image."""
        prefix, _, row = path.rpartition("/")
        value = self.tables()[prefix][self.column][int(row)].as_py()
        if isinstance(value, dict):
            if value.get("bytes") is None and value.get("path"):
                return (self.root / str(value["path"])).read_bytes()
            value = value.get("bytes")
        if value is None:
            raise OSError("the row has no image")
        return bytes(value)


def _read_arrow(path: Path) -> Any:
    try:
        source = pa.memory_map(str(path))
        try:
            return pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid:
            return pa.ipc.open_file(source).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read", found=" ".join(str(error).split())[:200]) from error


def _unpacked(path: Path, column: str) -> Path:
    """Return an Arrow file with a parquet file's images, written once: parquet itself is read by thousands of rows."""
    status = path.stat()
    identity = f"{_UNPACK_VERSION}:{path.resolve()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{column}"
    target = cache_folder("unpacked") / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.arrow"
    if target.is_file():
        return target
    source = pq.ParquetFile(path)
    groups = (source.metadata.row_group(number) for number in range(source.metadata.num_row_groups))
    needed = sum(group.total_byte_size for group in groups)
    place = next(folder for folder in target.parents if folder.exists())
    if shutil.disk_usage(place).free < needed:
        raise StoreError(
            f"too little space to unpack {path.name} below {place}",
            found=f"{needed / 2**30:.1f} GiB needed",
            hint="set REPDIAG_CACHE to a larger disk",
        )

    def write(stream: Any) -> None:
        batches = source.iter_batches(batch_size=256, columns=[column])
        schema = source.schema_arrow
        with pa.ipc.new_stream(stream, pa.schema([schema.field(column)])) as writer:
            for batch in batches:
                writer.write_batch(batch)

    return write_atomic(target, write)


def _image_columns(schema: Any) -> list[str]:
    """Return the columns that hold encoded images: structs with bytes, and binary columns."""
    return [field.name for field in schema if _holds_bytes(field.type)]


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _image_column(schema: Any, options: Mapping[str, str], name: str) -> str:
    found = _image_columns(schema)
    asked = options.get("image")
    if asked is not None:
        if asked not in found:
            raise unknown_name(f"column for image= in {name}", asked, found)
        return asked
    usual = [one for one in ("image", "img", "images", "jpg", "png", "bytes", "image_bytes") if one in found]
    if len(found) == 1 or usual:
        return usual[0] if usual else found[0]
    if not found:
        raise DataError(
            f"no column of {name} holds encoded images",
            found=", ".join(f"{field.name}: {field.type}" for field in schema)[:300],
            hint="columns of bytes, or of Hugging Face's Image, are read; arrays of pixels are not",
        )
    raise UsageError(
        f"{len(found)} columns of {name} hold images", found=", ".join(found), hint=f"name one: ,image={found[0]}"
    )


def _class_names(schema: Any) -> dict[str, list[str]]:
    """Return the names behind the numbers of label columns, which Hugging Face keeps in the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and name in schema.names
        }
    except (KeyError, ValueError, TypeError):
        return {}
