"""One set of vectors in several files: parts that lie in a folder, or whose names a pattern matches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.arrays import to_array, to_floating
from repdiag.core.errors import DataError
from repdiag.core.large_tensor import large_tensor
from repdiag.embeddings.vector_files import FILE_KINDS, ROW_NAMES, pick, pick_features, pick_labels, read_arrays


def is_pattern(path: Path) -> bool:
    """Say whether a path is none but a pattern of names: part-*.npy."""
    return any(sign in path.name for sign in "*?[") and not path.exists()


def name_of(source: Path) -> str:
    """Return what to call the vectors of a path: the folder's name for its parts, the file's without its ending."""
    if is_pattern(source):
        return source.parent.resolve().name
    return source.resolve().name if source.is_dir() else source.stem


def shard_paths(source: Path) -> list[Path]:
    """Return the files of vectors of a folder or a pattern, by name, numbers in them in the order of counting.

    By name, and not as a file system lists them, so that the same files are the same set everywhere.
    """
    inside = source.iterdir() if source.is_dir() else source.parent.glob(source.name)
    found = sorted((path for path in inside if path.suffix.lower() in FILE_KINDS), key=_by_numbers)
    kinds = sorted({path.suffix.lower() for path in found})
    if not found:
        what = f"in the folder {source}" if source.is_dir() else f"by the name {source}"
        raise DataError(
            f"no embedding set and no files of vectors {what}", hint=f"known kinds of files: {', '.join(FILE_KINDS)}"
        )
    if len(kinds) > 1:
        hint = f"give a pattern: {source / ('*' + kinds[0])}" if source.is_dir() else "match one kind"
        raise DataError(f"{source} holds files of several kinds", found=", ".join(kinds), hint=hint)
    return found


def read_shards(paths: list[Path]) -> tuple[Tensor, Tensor | None, Any, Any]:
    """Return features, views, labels and row names of all parts, one after the other; the last three may be None.

    Files that are memory-mapped are read while they are put together; the whole lies in a file of its own where it
    would take more than half of the memory at hand. Parts must have the same fields and dimensions.
    """
    parts = [read_arrays(path) for path in paths]
    features = [to_floating("features", pick_features(part, path)) for part, path in zip(parts, paths, strict=True)]
    views = _of_all([pick(part, ("views",)) for part in parts], paths, "views")
    labels = _of_all([pick_labels(part) for part in parts], paths, "labels")
    names = _of_all([pick(part, ROW_NAMES) for part in parts], paths, "row names")
    together = _joined(features, paths, dim=0)
    return (
        together,
        None if views is None else _joined([to_floating("views", part) for part in views], paths, dim=1),
        None if labels is None else np.concatenate([_array("labels", part) for part in labels]),
        None if names is None else np.concatenate([np.asarray(part) for part in names]),
    )


def _array(name: str, values: Any) -> Any:
    return values.numpy() if isinstance(values, Tensor) else to_array(name, values)


def _of_all(found: list[Any], paths: list[Path], what: str) -> list[Any] | None:
    """Return what all parts have; None where no part has it."""
    lacking = [path.name for path, part in zip(paths, found, strict=True) if part is None]
    if len(lacking) == len(paths):
        return None
    if lacking:
        raise DataError(f"some parts have no {what}", found=", ".join(lacking[:5]), hint="all or none of them must")
    return found


def _joined(parts: list[Tensor], paths: list[Path], *, dim: int) -> Tensor:
    """Return the parts along one axis; theirs must agree in all others."""
    first = parts[0]
    for part, path in zip(parts, paths, strict=True):
        if part.ndim != first.ndim or _but(part, dim) != _but(first, dim):
            found = f"{path.name} {tuple(part.shape)}, {paths[0].name} {tuple(first.shape)}"
            hint = "leave out what is no part by a pattern of names, such as part-*.npy; labels may come beside it"
            raise DataError("the parts of a set differ in shape", found=found, hint=hint)
    dtype = first.dtype
    for part in parts:
        dtype = torch.promote_types(dtype, part.dtype)
    shape = [*first.shape]
    shape[dim] = sum(part.shape[dim] for part in parts)
    whole = large_tensor(shape, dtype)
    for place, part in zip(_places(parts, dim), parts, strict=True):
        whole.narrow(dim, *place).copy_(part)
    return whole


def _but(part: Tensor, dim: int) -> list[int]:
    return [size for axis, size in enumerate(part.shape) if axis != dim]


def _places(parts: list[Tensor], dim: int) -> Iterator[tuple[int, int]]:
    start = 0
    for part in parts:
        yield start, part.shape[dim]
        start += part.shape[dim]


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """Return the key by which part-2 comes before part-10."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", path.name)]
