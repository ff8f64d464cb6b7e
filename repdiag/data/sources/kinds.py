"""The kinds of data that are named by a path, as in `zip:PATH`, and what opens each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repdiag.core.errors import UsageError
from repdiag.data.assembly import ReadRequest
from repdiag.data.image_folder import open_image_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.spec import TABLE_OPTIONS, Spec


@dataclass(frozen=True)
class PathRequest:
    """A split of the data at a path: the path with its options, the whole name, and how images are read."""

    spec: Spec
    name: str
    split: str
    read: ReadRequest

    @property
    def path(self) -> Path:
        """Return the path with ~ spelled out."""
        return Path(self.spec.path).expanduser()

    @property
    def columns(self) -> dict[str, str]:
        """Return the options that name columns."""
        return {key: value for key, value in self.spec.options.items() if key in TABLE_OPTIONS}


@dataclass(frozen=True)
class PathKind:
    """One kind: what lies at its path, and what opens it; each reader is imported when it is asked for."""

    what: str
    open: Callable[[PathRequest], ImageSplit]


def _folder(request: PathRequest) -> ImageSplit:
    from repdiag.data.sources.path_table import metadata_tables, open_path_table

    if request.path.is_file():
        kind = _ENDS.get(request.path.suffix.lower(), "KIND")
        raise UsageError(f"{request.path} is a file and no folder", hint=f"name it {kind}:{request.spec.path}")
    tables = metadata_tables(request.path)
    if tables:
        return open_path_table(tables, request.split, options=request.columns, request=request.read, name=request.name)
    _refuse_columns(request)
    return open_image_folder(request.path, request.split, name=request.name, request=request.read)


def _table(request: PathRequest) -> ImageSplit:
    from repdiag.data.sources.path_table import open_path_table

    tables = {request.path: None}
    return open_path_table(tables, request.split, options=request.columns, request=request.read, name=request.name)


def _hugging_face(request: PathRequest) -> ImageSplit:
    from repdiag.data.sources.arrow_tables import open_hugging_face

    path, config = request.path, None
    before, colon, last = request.spec.path.rpartition(":")
    if colon and not path.exists():
        path, config = Path(before).expanduser(), last
    return open_hugging_face(
        path, request.split, config=config, options=request.columns, request=request.read, name=request.name
    )


def _parquet(request: PathRequest) -> ImageSplit:
    from repdiag.data.sources.arrow_tables import open_parquet

    return open_parquet(request.path, request.split, options=request.columns, request=request.read, name=request.name)


def _tars(request: PathRequest) -> ImageSplit:
    from repdiag.data.sources.tar_shards import open_tars

    return open_tars(request.spec.path, request.split, options=request.columns, request=request.read, name=request.name)


def _zip(request: PathRequest) -> ImageSplit:
    from repdiag.data.sources.zip_archive import open_zip

    _refuse_columns(request)
    return open_zip(request.path, request.split, request.read, name=request.name)


def _lmdb(request: PathRequest) -> ImageSplit:
    from repdiag.data.sources.lmdb_archive import open_lmdb

    _refuse_columns(request)
    return open_lmdb(request.path, request.split, request.read, name=request.name)


def _refuse_columns(request: PathRequest) -> None:
    if request.columns:
        raise UsageError(
            f"{request.name} has no columns to name",
            found=", ".join(request.columns),
            hint="these options belong to csv:, hf:, parquet: and wds:",
        )


_ENDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "csv",
    ".parquet": "parquet",
    ".zip": "zip",
    ".tar": "wds",
    ".tgz": "wds",
    ".gz": "wds",
    ".mdb": "lmdb",
}


def named_as(path: str) -> str | None:
    """Return how a path is to be named that was given without its kind, or None where nothing is there."""
    place = Path(path).expanduser()
    if place.is_dir():
        return f"a folder is named imagefolder:{path}"
    return f"a file is named {_ENDS.get(place.suffix.lower(), 'KIND')}:{path}" if place.is_file() else None


KINDS = {
    "imagefolder": PathKind("a folder with one folder of images per class, or with images without labels", _folder),
    "csv": PathKind("a table of paths and labels (.csv, .tsv, .jsonl, .txt)", _table),
    "hf": PathKind(
        "a folder written by save_to_disk, or a folder of parquet files; hf:PATH:CONFIGURATION", _hugging_face
    ),
    "parquet": PathKind("parquet with a column of encoded images", _parquet),
    "wds": PathKind("tars of WebDataset, such as 'PATH-{000..127}.tar', or of class folders", _tars),
    "zip": PathKind("a zip of class folders", _zip),
    "lmdb": PathKind("an LMDB whose values are image files", _lmdb),
}
