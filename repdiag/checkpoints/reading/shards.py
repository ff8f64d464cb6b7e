"""Hugging Face's sharded safetensors: an index that says which tensor is in which file, held against every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from repdiag.checkpoints.reading.bounded_tree import expect_count, shown_names
from repdiag.checkpoints.reading.file_blocks import FileBlocks
from repdiag.checkpoints.reading.safetensors_check import read_safetensors, table_without_repeats
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import brief, one_line
from repdiag.core.provenance import sha256_of_file

INDEX_NAME = "model.safetensors.index.json"
INDEX_SUFFIX = ".safetensors.index.json"
_MAX_INDEX_BYTES = 6 * 2**20
_MAX_SHARDS = 1000
_NUMBERED = re.compile(r".*-(\d+)-of-(\d+)\.safetensors")


def is_index(path: Path) -> bool:
    """Say whether a path is named as the index of sharded weights."""
    return path.name.endswith(INDEX_SUFFIX)


def refuse_lone_shard(path: Path) -> None:
    """Raise `CheckpointError` for a file that is one shard of several, by its name."""
    numbered = _NUMBERED.fullmatch(path.name)
    if numbered and int(numbered[2]) > 1:
        raise CheckpointError(
            f"{path.name} is one of {int(numbered[2])} shards and not the whole checkpoint",
            hint=f"give the folder, or its index ({path.parent / INDEX_NAME})",
        )


def read_shards(
    index: Path, open_blocks: Callable[[Path], FileBlocks]
) -> tuple[dict[str, Tensor], dict[str, str], tuple[FileBlocks, ...]]:
    """Return the tensors of every shard that the index names, the metadata that the first one carries, and the files.

    The files must hold exactly the tensors that the index says, each once, and as many bytes.
    """
    placed, total = _read_index(index)
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    files: list[FileBlocks] = []
    for file, names in _by_file(index, placed).items():
        files.append(open_blocks(index.parent / file))
        found, said = read_safetensors(index.parent / file, files[-1])
        if absent := sorted(names - found.keys()):
            raise CheckpointError(f"{file} lacks tensors that the index says it holds", found=_few(absent))
        if added := sorted(found.keys() - names):
            raise CheckpointError(f"{file} holds tensors that the index places elsewhere", found=_few(added))
        tensors |= found
        metadata = metadata or said
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    if total is not None and total != size:
        raise CheckpointError(
            "the shards do not add up to what their index says", found=f"{size} bytes instead of {total}"
        )
    return tensors, metadata, tuple(files)


def sha256_of_weights(path: Path) -> str:
    """Return the SHA-256 of a weight file; for the index of shards, of it and of all that it names."""
    if not is_index(path):
        return sha256_of_file(path)
    digest = hashlib.sha256(sha256_of_file(path).encode())
    for file in _by_file(path, _read_index(path)[0]):
        digest.update(sha256_of_file(path.parent / file).encode())
    return digest.hexdigest()


def size_of_weights(path: Path) -> int:
    """Return the bytes of a weight file; for the index of shards, those of all that it names."""
    if not is_index(path):
        return path.stat().st_size
    return sum((path.parent / file).stat().st_size for file in _by_file(path, _read_index(path)[0]))


def _read_index(index: Path) -> tuple[dict[str, str], int | None]:
    """Return the file of every tensor, and the number of bytes in all where the index has it."""
    if index.stat().st_size > _MAX_INDEX_BYTES:
        raise CheckpointError("the index of the shards is too large", found=f"{index.stat().st_size} bytes")
    try:
        content: Any = json.loads(index.read_text("utf-8"), object_pairs_hook=table_without_repeats)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{index} is not a readable index of shards", found=one_line(str(error), 120)) from error
    placed = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(placed, dict) or not placed or not all(isinstance(file, str) for file in placed.values()):
        raise CheckpointError(f"{index} is not a readable index of shards", found="no weight_map of tensors to files")
    about = content.get("metadata")
    total = about.get("total_size") if isinstance(about, Mapping) else None
    if total is not None and not (type(total) is int or (isinstance(total, float) and total.is_integer())):
        raise CheckpointError(f"{index} is not a readable index of shards", found=f"total_size {brief(total)}")
    expect_count(len(placed))
    shown = shown_names(placed)  # as the names in the shards are shown
    return {shown[name]: file for name, file in placed.items()}, None if total is None else int(total)


def _by_file(index: Path, placed: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the tensors of each shard; all shards must be here, beside the index."""
    files = sorted(set(placed.values()))
    if len(files) > _MAX_SHARDS:
        raise CheckpointError("the index names too many shards", found=str(len(files)))
    for file in files:
        if Path(file).name != file or "\\" in file or not file.endswith(".safetensors"):
            raise CheckpointError("the index names a file that is not a shard next to it", found=brief(file, 120))
    absent = [file for file in files if not (index.parent / file).is_file()]
    if absent:
        found = f"{len(absent)} of {len(files)}: {_few(absent)}"
        raise CheckpointError(f"shards are missing in {index.parent}", found=found, hint="download them too")
    counts = Counter(match[2] for match in map(_NUMBERED.fullmatch, files) if match)
    if any(int(number) != times for number, times in counts.items()):
        raise CheckpointError(
            "the index leaves out shards", found=f"{len(files)} of {int(next(iter(counts)))}: {_few(files)}"
        )
    by_file: dict[str, set[str]] = {file: set() for file in files}
    for name, where in placed.items():
        by_file[where].add(name)
    return by_file


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(one_line(name, 80) for name in names[:3]) + more
