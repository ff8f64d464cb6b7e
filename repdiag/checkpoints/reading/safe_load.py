"""Reads a checkpoint file without running anything in it.

Order: what is it (by its bytes, not its name); is its layout sound; what does its pickle declare; only then tensors.
What was checked is what is returned: torch's own reader would run the same pickle again, by other rules.
Foreign objects become inert placeholders. Every refusal is a `CheckpointError`.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repdiag.checkpoints.reading.bounded_tree import BoundedTree
from repdiag.checkpoints.reading.file_blocks import CopiedFile, FileBlocks, MappedFile
from repdiag.checkpoints.reading.legacy import read_legacy
from repdiag.checkpoints.reading.one_error import one_kind_of_error
from repdiag.checkpoints.reading.other_files import only_checkpoint, other_format
from repdiag.checkpoints.reading.restricted_unpickler import RestrictedUnpickler
from repdiag.checkpoints.reading.safetensors_check import looks_like_safetensors, read_safetensors
from repdiag.checkpoints.reading.shards import INDEX_NAME, is_index, read_shards, refuse_lone_shard, sha256_of_weights
from repdiag.checkpoints.reading.storages import Storages
from repdiag.checkpoints.reading.zip_check import Record, check_archive
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

_SIDECARS = ("config.json", "preprocessor_config.json", "processor_config.json", "open_clip_config.json", "args.json",
             "adapter_config.json")  # fmt: skip
_PICKLE_STARTS = {bytes([code]) for code in b"\x80(]}Lc"}
_MAX_SIDECAR_BYTES = 4 * 2**20
_MOST_SHOWN = 50
_OF_OPEN_CLIP = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_WEIGHT_FILES = ("model.safetensors", INDEX_NAME, "pytorch_model.bin", *_OF_OPEN_CLIP)


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The content of a checkpoint file: plain containers, tensors and placeholders.

    `digest` gives the sha256 of its bytes, `container` is the file layout, `reader` what built the tensors,
    `integrity` whether the file proved itself whole, `foreign` the classes that became placeholders, `sidecars` the
    JSON files that belong to it, `blocks` the files that tensors may still lie in, `notes` what was done on reading.
    """

    path: Path
    digest: Callable[[], str] = field(repr=False)
    container: str
    reader: str
    integrity: str
    tree: Any
    foreign: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    sidecars: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple[FileBlocks, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of the file's bytes, made when it is first asked for: a file that is refused needs none."""
        return self.digest()


def read(path: Path | str, *, mapped: bool = False) -> Payload:
    """Return the content of a checkpoint; raises `CheckpointError` for whatever is unsafe, damaged or unknown.

    `mapped` leaves the numbers in the file until they are looked at, and is for who looks once and copies what stays.
    """
    source = Path(path)
    with one_kind_of_error(source):
        source = weight_file(source)
        before = _state_of(source)
        try:
            parts = _read_index(source, mapped=mapped) if is_index(source) else _read_one(source, mapped=mapped)
            digest = functools.cache(functools.partial(_digest, source, before))
            payload = Payload(path=source, digest=digest, sidecars=_sidecars(source), **parts)
        except CheckpointError as error:
            _expect_unchanged(source, before)
            if source.name in error.problem:
                raise
            raise CheckpointError(f"{source}: {error.problem}", found=error.found, hint=error.hint) from error
        except Exception:  # what a file that became too short gives rise to; anything else is named by who called
            _expect_unchanged(source, before)
            raise
        _expect_unchanged(source, before)
    return payload


def _digest(path: Path, before: tuple[int, ...]) -> str:
    found = sha256_of_weights(path)
    _expect_unchanged(path, before)
    return found


def _expect_unchanged(path: Path, before: tuple[int, ...]) -> None:
    if _state_of(path) != before:
        hint = "copy it, or wait until the training has written it"
        raise CheckpointError(f"{path} changed while it was read", hint=hint)


def _state_of(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read_file(source: Path, blocks: FileBlocks) -> dict[str, Any]:
    with source.open("rb") as stream:
        start = stream.read(16)
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(source, blocks)
    if looks_like_safetensors(start, source.stat().st_size):
        refuse_lone_shard(source)
        tensors, metadata = read_safetensors(source, blocks)
        found = {"container": "safetensors", "reader": "safetensors", "integrity": "unknown", "tree": tensors}
        return found | {"metadata": metadata}
    if start[:1] in _PICKLE_STARTS:
        return _read_legacy(source, blocks)
    raise _unknown_file(source, start)


def _read_one(source: Path, *, mapped: bool) -> dict[str, Any]:
    blocks = MappedFile(source) if mapped and source.stat().st_size else CopiedFile(source)
    return _read_file(source, blocks) | {"blocks": (blocks,)}


def _read_index(index: Path, *, mapped: bool) -> dict[str, Any]:
    tensors, metadata, blocks = read_shards(index, MappedFile if mapped else CopiedFile)
    found = {"container": "safetensors in shards", "reader": "safetensors", "integrity": "unknown", "tree": tensors}
    return found | {"metadata": metadata, "blocks": blocks}


def weight_file(path: Path) -> Path:
    """Return the file that holds the weights: the path itself, or what a Hugging Face folder has, or its index."""
    if path.is_dir():
        if (path / ".metadata").exists():
            raise CheckpointError(
                f"{path} is a distributed checkpoint, whose index is a pickle that would run on reading",
                hint="where you trust it: torch.distributed.checkpoint.format_utils.dcp_to_torch_save",
            )
        found = [path / name for name in _WEIGHT_FILES if (path / name).is_file()]
        if not found:
            shards = sorted(item.name for item in path.glob("*-of-*.*") if item.suffix in (".safetensors", ".bin"))
            if shards:
                raise CheckpointError(
                    f"the weights in {path} are cut into shards without {INDEX_NAME}",
                    found=f"{len(shards)} files, the first {shards[0]}",
                    hint="download the index too; shards of pickles (.bin): save them again with "
                    "save_pretrained(folder, safe_serialization=True)",
                )
            return only_checkpoint(path)
        return found[0]
    if not path.exists():
        raise CheckpointError(f"there is no file {path}")
    if not path.is_file():
        raise CheckpointError(f"{path} is not a regular file")
    return path


def _read_zip(path: Path, blocks: FileBlocks) -> dict[str, Any]:
    archive = check_archive(path)
    if "byteorder" in archive.records and archive.read(path, "byteorder") != b"little":
        raise CheckpointError("the file was written on a big-endian machine")
    stream = io.BytesIO(archive.read(path, "data.pkl"))
    machine = RestrictedUnpickler(stream)
    inert = machine.load()
    if stream.read(1):
        raise CheckpointError("the pickle continues after its end", found="a second program")
    records = {name.removeprefix("data/"): record for name, record in archive.records.items() if name[:5] == "data/"}
    integrity = "crc32" if archive.has_checksums else "unknown"
    built = _with_tensors(path, blocks, machine, inert=inert, records=records)
    return {"container": "zip", "integrity": integrity, **built}


def _read_legacy(path: Path, blocks: FileBlocks) -> dict[str, Any]:
    machine, inert, records = read_legacy(path)
    built = _with_tensors(path, blocks, machine, inert=inert, records=records)
    return {"container": "legacy", "integrity": "unknown", **built}


def _with_tensors(
    path: Path, blocks: FileBlocks, machine: RestrictedUnpickler, *, inert: Any, records: Mapping[str, Record]
) -> dict[str, Any]:
    """Return the pickle's value with its tensors, and the names of what became placeholders."""
    storages = Storages(path, blocks=blocks, records=records, declared=machine.storages)
    tree = BoundedTree(storages.tensor).convert(inert)
    foreign = list(machine.foreign)
    more = [f"... and {len(foreign) - _MOST_SHOWN} more"] if len(foreign) > _MOST_SHOWN else []
    return {"reader": "restricted", "tree": tree, "foreign": tuple(foreign[:_MOST_SHOWN] + more)}


def _sidecars(path: Path) -> dict[str, Any]:
    """Return the JSON files beside the weights that say what they are."""
    found: dict[str, Any] = {}
    for name in _SIDECARS:
        file = path.parent / name
        if file.is_file() and file.stat().st_size <= _MAX_SIDECAR_BYTES:
            try:
                found[name] = json.loads(file.read_text("utf-8"))
            except (ValueError, RecursionError, OSError) as error:
                found_instead = one_line(str(error), 120)
                raise CheckpointError(f"{file} is not readable JSON", found=found_instead) from error
    return found


def _unknown_file(path: Path, start: bytes) -> CheckpointError:
    known = {
        b"\x1f\x8b": ("it is gzipped", "unpack it with gunzip first"),
        b"BZh": ("it is packed with bzip2", "unpack it first"),
        b"\xfd7zXZ": ("it is packed with xz", "unpack it first"),
        b"7z\xbc\xaf": ("it is a 7z archive", "unpack it first"),
        b"\x89HDF": ("it is an HDF5 file (Keras)", "export the weights to torch or safetensors"),
        b"\x93NUMPY": ("it is a numpy array", "repdiag analyze reads embeddings, not weights, from it"),
        b"version https://": ("a pointer of git LFS and not the file itself", "git lfs pull, or download the file"),
        b"<": ("it is a web page", "the download gave an error page; download it again"),
    }
    for magic, (found, hint) in known.items():
        if start.startswith(magic):
            return CheckpointError(f"{path} is not a checkpoint", found=found, hint=hint)
    if (other := other_format(path, start)) is not None:
        return CheckpointError(f"{path} is not a checkpoint of torch", found=other[0], hint=other[1])
    with path.open("rb") as stream:
        header = stream.read(512)
    if header[257:262] == b"ustar":
        return CheckpointError(f"{path} is not a checkpoint", found="it is a tar archive", hint="unpack it first")
    found = "an empty file" if not start else f"bytes {start[:8]!r}"
    return CheckpointError(f"{path} is not a checkpoint that torch or safetensors wrote", found=found)
