"""`csv:PATH`: a table of image files with labels, parts and groups; also Hugging Face's metadata.csv and .jsonl."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from repdiag.core.errors import DataError, UsageError, unknown_name
from repdiag.data.assembly import ReadRequest
from repdiag.data.extensions import EXTENSIONS, UNREAD_IMAGES, extension
from repdiag.data.file_source import Folder
from repdiag.data.folder_layout import folders_in, holds_images
from repdiag.data.image_split import Excluded, ImageSplit
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.sources.columns import RowColumns, read_columns
from repdiag.data.sources.listing import Listing, joined, open_listing
from repdiag.data.spec import METADATA
from repdiag.data.splits import part_of
from repdiag.data.walk import FoundFile

_PATHS = (
    "path",
    "file_name",
    "filename",
    "file",
    "filepath",
    "file_path",
    "image_path",
    "img_path",
    "image",
    "img",
    "image_file",
    "image_name",
    "imagename",
    "fname",
    "image_id",
    "images",
    "name",
    "id",
)
_LOOKED_AT = 20  # rows by which a column of paths is known


def open_path_table(
    tables: Mapping[Path, str | None], split: str, *, options: Mapping[str, str], request: ReadRequest, name: str
) -> ImageSplit:
    """Open a split of one or several tables of image files, each with the part that it is of, if it is of one.

    Paths are relative to their table, or to the folder that root= names. The columns are found by their usual names, or
    named by options; what is used is said. A file that is not there is left out and counted; most of them missing is an
    error.
    """
    base = Path(os.path.commonpath([table.parent for table in tables]))
    root = Path(options["root"]).expanduser() if "root" in options else None
    listings = []
    for table, part in tables.items():
        if not table.is_file():
            raise DataError(f"{table} is not a file", hint="name a .csv, .tsv, .jsonl, .parquet or a list of paths")
        frame, notes = read_table(table)
        files = _Files(base, root or table.parent)
        frame, column = _with_path_column(frame, options, files, table)
        rows = read_columns(frame, options, image=column, where=table.name)
        if part is not None and not any(rows.parts):
            rows = replace(rows, parts=(part,) * len(frame))
        listings.append(_listed(frame, column, files, replace(rows, notes=(*notes, *rows.notes)), name=name))
    return open_listing(joined(listings), split, request)


def metadata_tables(root: Path) -> dict[Path, str | None]:
    """Return Hugging Face's tables of file names and labels below a folder, by part; none where folders are classes."""
    if not root.is_dir():
        return {}
    parts = {name: part_of(name) for name in folders_in(root)}
    places = {root: None} | {root / name: part for name, part in parts.items() if part is not None}
    found: dict[Path, str | None] = {}
    for place, part in places.items():
        table = next((place / name for name in METADATA if (place / name).is_file()), None)
        classes = [name for name in folders_in(place) if part_of(name) is None and holds_images(place / name)]
        if table is not None and len(classes) < 2:
            found[table] = part
    return found


def read_table(path: Path) -> tuple[pd.DataFrame, list[ReadingNote]]:
    """Return a table with every cell as text; a line without names of columns is told by the caller."""
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path), []
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return pd.read_json(path, lines=True, dtype=False), []
        if path.suffix.lower() == ".json":
            return _json(path), []
        text, notes = _text(path)
        return _separated(text), notes
    except (ValueError, OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table", found=" ".join(str(error).split())[:200]) from error


def _json(path: Path) -> pd.DataFrame:
    import json

    found = json.loads(path.read_text("utf-8"))
    if isinstance(found, dict) and isinstance(found.get("images"), list):
        raise DataError(
            f"{path.name} holds annotations of objects, but no label per image",
            found=", ".join(found)[:200],
            hint="name the folder for images without labels, or write a table of paths and labels",
        )
    return pd.DataFrame(found)


def _text(path: Path) -> tuple[str, list[ReadingNote]]:
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16"), []
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), [ReadingNote(what=f"{path.name} is not UTF-8 and is read as cp1252")]


def _separated(text: str) -> pd.DataFrame:
    from io import StringIO

    first = text.lstrip().partition("\n")[0]
    if not first:
        raise ValueError("it is empty")
    separator = max(",;\t|", key=first.count)
    if first.count(separator) == 0:
        rows = [line.strip() for line in text.splitlines() if line.strip()]
        if not any(" " in line for line in rows):
            return pd.DataFrame({"0": rows})
        split = [line.rsplit(maxsplit=1) for line in rows]
        return pd.DataFrame(split, columns=["0", "1"]) if all(len(one) == 2 for one in split) else pd.DataFrame(rows)
    frame = pd.read_csv(
        StringIO(text), sep=separator, dtype=str, header=None, keep_default_na=False, skipinitialspace=True
    )
    names = [str(cell).strip() for cell in frame.iloc[0]]
    frame = frame.iloc[1:].reset_index(drop=True)
    frame.columns = [name if names.index(name) == place else f"{name}.{place}" for place, name in enumerate(names)]
    frame.attrs["first"] = names
    return frame


class _Files:
    """Finds the file that a cell means: by its path, with an ending added, or by its name anywhere below the table."""

    def __init__(self, base: Path, root: Path) -> None:
        self.base, self.root = base, root
        self._by_name: dict[str, list[str]] | None = None
        self.looked_up = 0

    def find(self, cell: object) -> str | None:
        """Return the path below the table's folder, or an absolute one; None where there is no such file."""
        text = str(cell).strip().replace("\\", "/")
        if not text or "\0" in text or len(text) > 4096:
            return None
        places = [self.root / text, Path(text).expanduser()]
        for place in places:
            found = self._there(place)
            if found is not None:
                return self._relative(found)
        by_name = self._named(text.rsplit("/", 1)[-1])
        if by_name is not None:
            self.looked_up += 1
        return by_name

    @staticmethod
    def _there(place: Path) -> Path | None:
        try:
            if place.is_file():
                return place
            if extension(place.name) not in EXTENSIONS:
                return next((one for end in (".jpg", ".png", ".jpeg", ".tif", ".tiff", ".JPG", ".PNG")
                             if (one := place.with_name(place.name + end)).is_file()), None)  # fmt: skip
        except (OSError, ValueError):
            return None
        return None

    def _relative(self, place: Path) -> str:
        text, base = os.path.normpath(place), os.path.normpath(self.base)
        below = os.path.relpath(text, base)
        return os.path.abspath(text) if below.startswith("..") else below  # noqa: PTH100 - links stay as they are named

    def _named(self, name: str) -> str | None:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for folder, folders, files in os.walk(self.root):
                folders[:] = [one for one in folders if not one.startswith(".")]
                for file in files:
                    if extension(file) in EXTENSIONS:
                        below = self._relative(Path(folder) / file)
                        self._by_name[file].append(below)
                        self._by_name[file[: file.rfind(".")]].append(below)
        found = self._by_name.get(name, [])
        return found[0] if len(found) == 1 else None


def _with_path_column(
    frame: pd.DataFrame, options: Mapping[str, str], files: _Files, table: Path
) -> tuple[pd.DataFrame, str]:
    frame.columns = [str(name).strip() for name in frame.columns]
    frame, first = _with_header(frame, files)
    asked = options.get("image", first)
    if asked is not None:
        if asked not in frame.columns:
            raise unknown_name(f"column for image= in {table.name}", asked, frame.columns)
        return frame, asked
    small = {name.lower().replace(" ", "_"): name for name in frame.columns}
    usual = [small[name] for name in _PATHS if name in small]
    for name in usual:
        if _holds_paths(frame[name], files):
            return frame, name
    others = [name for name in frame.columns if name not in usual and _holds_paths(frame[name], files)]
    if len(others) == 1:
        return frame, others[0]
    if len(others) > 1:
        raise UsageError(
            f"{len(others)} columns of {table.name} hold paths of files",
            found=", ".join(others),
            hint=f"name one after the path: ,image={others[0]}",
        )
    cells = [str(cell) for cell in frame.iloc[0]] if len(frame) else []
    raise DataError(
        f"no column of {table.name} holds paths of existing files",
        found=f"{', '.join(map(str, frame.columns[:6]))}; the first row: {', '.join(cells[:4])}"[:300],
        hint=f"paths count from {files.root}; another folder: ,root=FOLDER; a column: ,image=NAME",
    )


def _with_header(frame: pd.DataFrame, files: _Files) -> tuple[pd.DataFrame, str | None]:
    """Return a table whose first line is a row with numbers for names, and the column whose name is a file."""
    names = frame.attrs.get("first", ())  # other tables have names, or numbers that were given here
    named = [
        column
        for column, name in zip(frame.columns, names, strict=False)
        if name.lower() not in _PATHS and not name.isdecimal() and files.find(name) is not None
    ]
    if not named:
        return frame, None
    first = pd.DataFrame([list(names)], columns=frame.columns)
    rows = pd.concat([first, frame.astype(str)], ignore_index=True)
    rows.columns = [str(number) for number in range(rows.shape[1])]
    return rows, str(list(frame.columns).index(named[0]))


def _holds_paths(column: pd.Series, files: _Files) -> bool:
    cells = [cell for cell in column.head(_LOOKED_AT) if isinstance(cell, str | int)]
    return bool(cells) and sum(files.find(cell) is not None for cell in cells) * 2 >= len(cells)


def _listed(frame: pd.DataFrame, column: str, files: _Files, rows: RowColumns, *, name: str) -> Listing:
    files.looked_up = 0
    kept: list[int] = []
    found: list[FoundFile] = []
    excluded: list[Excluded] = []
    seen: dict[str, int] = {}
    twice, contradicted = 0, []
    for number, cell in enumerate(frame[column]):
        path = files.find(cell)
        if path is None or extension(path) in UNREAD_IMAGES:
            excluded.append(Excluded(str(cell)[:200], _why(cell, path)))
            continue
        if path in seen:
            first = seen[path]
            if (rows.labels[first], rows.parts[first]) != (rows.labels[number], rows.parts[number]):
                contradicted.append(path)
            twice += 1
            continue
        seen[path] = number
        status = (files.base / path).stat()
        kept.append(number)
        found.append(FoundFile(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    _refuse(frame, excluded, contradicted, files, name)
    notes = list(rows.notes)
    if twice:
        notes.append(ReadingNote(what="that repeat a file, left out", count=twice, of="rows"))
    if files.looked_up:
        what = f"found by their names below {files.root}"
        notes.append(ReadingNote(what=what, count=files.looked_up, of="files"))
    if excluded:
        reasons = Counter(one.reason for one in excluded)
        notes += [ReadingNote(what=f"left out: {reason}", count=count, of="rows") for reason, count in reasons.items()]
    return Listing(
        name=name,
        archive=Folder(files.base),
        files=found,
        labels=[rows.labels[number] for number in kept],
        parts=[rows.parts[number] for number in kept],
        groups=None if rows.groups is None else [rows.groups[number] for number in kept],
        excluded=tuple(excluded),
        notes=tuple(notes),
    )


def _why(cell: object, path: str | None) -> str:
    if path is not None:
        return UNREAD_IMAGES[extension(path)]
    return "a file elsewhere, not on this machine" if "://" in str(cell) else "no such file"


def _refuse(frame: pd.DataFrame, excluded: list[Excluded], contradicted: list[str], files: _Files, name: str) -> None:
    if contradicted:
        raise DataError(
            f"{len(contradicted)} rows of {name} repeat a file with another label or split",
            found=", ".join(contradicted[:3]),
            hint="give one row per file; images of several classes are not read",
        )
    if 2 * len(excluded) > len(frame):
        raise DataError(
            f"{len(excluded)} of {len(frame)} rows of {name} name no readable file",
            found=f"{excluded[0].path}: {excluded[0].reason}",
            hint=f"paths count from {files.root}; another folder: ,root=FOLDER after the path",
        )
