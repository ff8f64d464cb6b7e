"""Folders of vectors: parts of one set, arrays by the names of their files, and the layouts of well-known tools."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from repdiag.core.errors import DataError
from repdiag.embeddings.sources.column_names import ROW_NAMES, by_numbers, is_label_name, shown, split_of, without_split
from repdiag.embeddings.sources.contents import Column, Contents, put_together

Open = Callable[[Path], Contents]
_METADATA = ("metadata", "meta", "labels", "info")


def is_pattern(path: Path) -> bool:
    """Say whether a path is none but a pattern of names: part-*.npy."""
    return any(sign in path.name for sign in "*?[") and not path.exists()


def data_files(source: Path, kinds: Sequence[str]) -> list[Path]:
    """Return the files of a folder or a pattern, by name, numbers in them in the order of counting.

    By name, and not as a file system lists them, so that the same files are the same set everywhere. Files that begin
    with a dot or an underscore are marks of other programs.
    """
    inside = source.rglob("*") if source.is_dir() else source.parent.glob(source.name)
    found = [path for path in inside if path.is_file() and path.suffix.lower() in kinds and path.name[0] not in "._"]
    return sorted(found, key=lambda path: by_numbers(str(path)))


def open_files(source: Path, open_file: Open, kinds: Sequence[str]) -> Contents:
    """Return the columns of all files of a folder or a pattern."""
    files = data_files(source, kinds)
    if not files:
        what = f"in the folder {source}" if source.is_dir() else f"by the name {source}"
        raise DataError(f"no embedding set and no files of vectors {what}", hint=f"known kinds: {', '.join(kinds)}")
    name = source.name if source.is_dir() else source.parent.resolve().name
    families = _families(files, source if source.is_dir() else source.parent)
    opened = {family: _parts(family, paths, open_file) for family, paths in families.items()}
    if len(opened) == 1:
        found = next(iter(opened.values()))
        return replace(found, name=name, notes=(*found.notes, *_count_note(name, files)))
    return _of_families(source, name, opened, families)


def _count_note(name: str, files: Sequence[Path]) -> tuple[str, ...]:
    if len(files) < 2:
        return ()
    return (f"{len(files)} files of {name} were joined, from {files[0].name} to {files[-1].name}.",)


def _families(files: Sequence[Path], root: Path) -> dict[str, list[Path]]:
    """Return the files by what their names have in common: clip_0.npy and clip_1.npy are parts of one array."""
    found: dict[str, list[Path]] = {}
    for path in files:
        folder = path.parent.relative_to(root) if path.parent != root else Path()
        partition = [part for part in folder.parts if "=" in part]
        inside = "/".join(part for part in folder.parts if "=" not in part)
        stem = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}[-\w]*|\d+(-of-\d+)?|-c000.*$", "", path.stem.partition(".")[0])
        family = inside or stem.strip("_-. ") or "features"
        # Folders such as label=cat hold parts of one table, as Spark and Ray write them.
        found.setdefault("parts" if partition else f"{family}{path.suffix.lower()}", []).append(path)
    return found


def _parts(family: str, paths: Sequence[Path], open_file: Open) -> Contents:
    opened = [_with_partition(path, open_file(path)) for path in paths]
    return put_together(opened, name=Path(family).stem or family)


def _with_partition(path: Path, found: Contents) -> Contents:
    """Return a part with what the names of its folders say: label=cat is a column."""
    columns = list(found.columns)
    rows = next((column.rows for column in columns if column.rows is not None), None)
    for part in path.parent.parts:
        key, sign, value = part.partition("=")
        if sign and key and key not in found.names and rows is not None:
            columns.append(_constant(key, value, rows))
    return replace(found, columns=tuple(columns), name=path.name)


def _constant(name: str, value: str, rows: int) -> Column:
    def load() -> Any:
        return np.full(rows, value, dtype=object)

    return Column(name=name, numbers="text", axes=1, rows=rows, said="of folders", load=load)


def _of_families(source: Path, name: str, opened: dict[str, Contents], files: dict[str, list[Path]]) -> Contents:
    """Return the columns of several families: arrays called after their files, and tables beside them."""
    columns: dict[str, Contents] = {}
    for family, found in opened.items():
        stem = family.rpartition(".")[0] or family
        if len(found.columns) == 1 and not found.columns[0].is_named:
            columns[family] = replace(found, columns=(replace(found.columns[0], name=stem),))
        else:
            columns[family] = found
    vectors = [family for family, found in columns.items() if _holds_vectors(family, found)]
    splits = {split_of(Path(family).stem) for family in vectors}
    if "train" in splits and len(splits) == len(vectors) == 2 and None not in splits:
        return _train_and_rest(name, columns)
    if len(vectors) > 1:
        return _several(source, name, columns, files=files, vectors=vectors)
    beside = [column for family, found in columns.items() for column in found.columns if family not in vectors]
    own = [column for family in vectors for column in columns[family].columns]
    taken = {column.name for column in own}
    joined = (*own, *(column for column in beside if column.name not in taken))
    notes = tuple(note for found in columns.values() for note in found.notes)
    table = any(columns[family].is_table for family in vectors)
    count = _count_note(name, [path for paths in files.values() for path in paths])
    return Contents(name=name, columns=joined, notes=(*notes, *count), is_table=table)


def _holds_vectors(family: str, found: Contents) -> bool:
    stem = Path(family).stem.lower()
    if is_label_name(stem) or without_split(stem) in (*_METADATA, *ROW_NAMES):
        return False
    return any(column.axes > 1 and column.numbers != "text" for column in found.columns) or (
        found.is_table and sum(column.numbers == "float" for column in found.columns) > 1
    )


def _train_and_rest(name: str, columns: dict[str, Contents]) -> Contents:
    """Return the rows of the other split, with those of train as their bank: what DINO's dump_features writes."""
    train: list[Column] = []
    rest: list[Column] = []
    for family, found in columns.items():
        split = split_of(Path(family).stem)
        (train if split == "train" else rest).extend(found.columns)
    bank = Contents(name=f"{name}: {shown([column.name for column in train])}", columns=tuple(train))
    note = (
        f"{name} holds two splits: {shown([column.name for column in rest])} are the rows, "
        f"{shown([column.name for column in train])} the bank."
    )
    return Contents(name=name, columns=tuple(rest), notes=(note,), bank=bank)


def _several(
    source: Path,
    name: str,
    columns: dict[str, Contents],
    *,
    files: dict[str, list[Path]],
    vectors: Sequence[str],
) -> Contents:
    """Return several families of vectors: parts with names of their own, or sets of which one must be chosen."""
    kinds = sorted({Path(family).suffix for family in vectors})
    if len(kinds) > 1:
        hint = f"give a pattern: {source / ('*' + kinds[0])}" if source.is_dir() else "match one kind"
        raise DataError(f"{source} holds files of several kinds", found=", ".join(kinds), hint=hint)
    alone = all(len(files[family]) == 1 for family in vectors)
    if alone and not any(split_of(Path(family).stem) for family in vectors):
        paths = [files[family][0] for family in vectors]
        parts = [replace(columns[family], name=path.name) for family, path in zip(vectors, paths, strict=True)]
        if all(len(part.columns) == 1 for part in parts):
            parts = [replace(part, columns=(replace(part.columns[0], name="features"),)) for part in parts]
        beside = [column for family, found in columns.items() if family not in vectors for column in found.columns]
        whole = put_together(parts, name=name)
        note = f"{len(paths)} files were joined as one set: {shown([path.name for path in paths])}."
        return replace(whole, columns=(*whole.columns, *beside), notes=(*whole.notes, note))
    every = [column for found in columns.values() for column in found.columns]
    names = [column.name for column in every]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        found = ", ".join(f"{family} ({len(files[family])} files)" for family in vectors)
        hint = f"give a pattern of one: {source / (Path(vectors[0]).stem + '*')}"
        raise DataError(f"{source} holds several sets of vectors", found=found, hint=hint)
    return Contents(name=name, columns=tuple(every))
