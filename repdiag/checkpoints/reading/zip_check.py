"""Checks the zip layout of a torch file before anything reads it: one way to read it, nothing packed, CRCs right."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from repdiag.checkpoints.reading.other_files import PROGRAM, SCRIPT, archive_hint, is_exported_program
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

MAX_PICKLE_BYTES = 48 * 2**20
"""All that is not numbers of tensors; text may take five times as much memory as its bytes."""
_MAX_ENTRIES = 60_000
_MAX_DIRECTORY_BYTES = 32 * 2**20
_BLOCK = 2**20
_HARMLESS_FLAGS = 0x0808  # sizes after the data, and names in UTF-8; all others encrypt or patch
_UNCOUNTED = 0xFFFF  # what the end record says of this many entries and more
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
FETCH_AGAIN = "compare its size and SHA-256 with the source's, and fetch it again"
_SIGNED = ("constants.pkl", "code/", "extra/")  # what only a TorchScript archive holds


@dataclass(frozen=True, slots=True)
class Record:
    """Where the bytes of one archive entry lie in the file."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class TorchArchive:
    """The entries of a checked archive, without the name of its top folder."""

    records: Mapping[str, Record]
    has_checksums: bool

    def read(self, path: Path, name: str) -> bytes:
        """Return the bytes of one entry."""
        record = self.records[name]
        with path.open("rb") as stream:
            stream.seek(record.start)
            return stream.read(record.size)


def check_archive(path: Path) -> TorchArchive:
    """Return the layout of a torch zip file after verifying it; any oddity is a `CheckpointError`."""
    with path.open("rb") as stream:
        declared = _check_end(stream, size=path.stat().st_size)
        try:
            with zipfile.ZipFile(stream) as archive:
                entries = archive.infolist()
            if any(entry.filename.endswith("/constants.pkl") for entry in entries):
                raise CheckpointError(
                    "this is a TorchScript program, not weights",
                    hint=SCRIPT,
                )
            if min(len(entries), _UNCOUNTED) != declared:
                raise CheckpointError("the zip archive hides entries", found=f"{len(entries)} instead of {declared}")
            records = _locate(stream, entries)
            has_checksums = _check_sums(stream, entries, records)
        except (zipfile.BadZipFile, struct.error, ValueError, EOFError, OverflowError, NotImplementedError) as error:
            raise CheckpointError("the zip archive is damaged", found=one_line(str(error), 120)) from error
    if is_exported_program(records):
        raise CheckpointError("this is a program of torch.export, not weights", hint=PROGRAM)
    inner = _without_folder(records)
    if any(name.startswith(_SIGNED) for name in inner):
        raise CheckpointError(
            "this is a TorchScript program, not weights",
            hint=SCRIPT,
        )
    if "data.pkl" not in inner:
        raise CheckpointError(
            "the zip archive is not a torch checkpoint", found="no data.pkl in it", hint=archive_hint(inner)
        )
    if inner["data.pkl"].size > MAX_PICKLE_BYTES:
        raise CheckpointError("the pickle in the archive is too large", found=f"{inner['data.pkl'].size} bytes")
    return TorchArchive(inner, has_checksums)


def _check_end(stream: BufferedIOBase, *, size: int) -> int:
    """Return the number of entries declared (at most 65535).

    Refuses what readers could find in different places: a second directory, a comment, bytes after the end.
    """
    stream.seek(max(0, size - _END.size))
    tail = stream.read(_END.size)
    if len(tail) < _END.size or tail[:4] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        raise CheckpointError("the zip archive does not end as torch writes it", hint=FETCH_AGAIN)
    here, entries, directory = _END.unpack(tail)[3:6]
    if here != entries:
        raise CheckpointError("the zip archive says it is a part of one", found=f"{here} of {entries} entries")
    if directory != 0xFFFFFFFF and directory > min(size, _MAX_DIRECTORY_BYTES):
        raise CheckpointError("the zip directory is too large", found=f"{directory} bytes")
    stream.seek(0)
    return int(entries)


def _locate(stream: BufferedIOBase, entries: list[zipfile.ZipInfo]) -> dict[str, Record]:
    """Return where each entry lies; both headers must agree and no two entries may share a byte."""
    if len(entries) > _MAX_ENTRIES:
        raise CheckpointError("the zip archive has too many entries", found=str(len(entries)))
    records: dict[str, Record] = {}
    end = 0
    for entry in sorted(entries, key=lambda item: item.header_offset):
        _check_entry(entry, known=entry.filename in records)
        if entry.header_offset < end or (end == 0 and entry.header_offset != 0):
            raise CheckpointError(
                "entries of the zip archive overlap or hide something", found=one_line(entry.filename, 80)
            )
        stream.seek(entry.header_offset)
        header = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        name = stream.read(header[9])
        plain = header[3] == 0 and not header[2] & ~_HARMLESS_FLAGS
        if header[0] != b"PK\x03\x04" or name != entry.filename.encode() or not plain:
            raise CheckpointError("the zip archive says two things about an entry", found=one_line(entry.filename, 80))
        start = entry.header_offset + _LOCAL_HEADER.size + header[9] + header[10]
        end = start + entry.file_size
        records[entry.filename] = Record(start, entry.file_size)
    if end > stream.seek(0, io.SEEK_END):
        raise CheckpointError("the zip archive is cut off", hint=FETCH_AGAIN)
    return records


def _check_entry(entry: zipfile.ZipInfo, *, known: bool) -> None:
    name = entry.filename
    if known:
        raise CheckpointError("the zip archive has two entries of one name", found=one_line(name, 80))
    parts = name.removesuffix("/").split("/")
    if name != entry.orig_filename or "\\" in name or not {"", ".."}.isdisjoint(parts):
        raise CheckpointError("an entry of the zip archive leaves its folder", found=one_line(entry.orig_filename, 80))
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.flag_bits & 0x1:
        raise CheckpointError(
            "the zip archive is packed or encrypted; torch writes entries as they are",
            found=one_line(name, 80),
            hint="unpack it and save the checkpoint again with torch.save",
        )


def _check_sums(stream: BufferedIOBase, entries: list[zipfile.ZipInfo], records: Mapping[str, Record]) -> bool:
    """Verify every CRC, since torch does not. A file with none at all was written without them: say so."""
    if all(entry.CRC == 0 for entry in entries):
        return False
    for entry in entries:
        record = records[entry.filename]
        stream.seek(record.start)
        left, crc = record.size, 0
        while left > 0:
            block = stream.read(min(_BLOCK, left))
            if not block:
                raise CheckpointError(
                    "the zip archive is cut off", found=one_line(entry.filename, 80), hint=FETCH_AGAIN
                )
            crc = zlib.crc32(block, crc)
            left -= len(block)
        if crc != entry.CRC:
            raise CheckpointError(
                "the file is damaged: an entry does not match its checksum",
                found=one_line(entry.filename, 80),
                hint=FETCH_AGAIN,
            )
    return True


def _without_folder(records: Mapping[str, Record]) -> dict[str, Record]:
    folders = {name.partition("/")[0] for name in records}
    if len(folders) != 1 or any("/" not in name for name in records):
        raise CheckpointError(
            "the zip archive is not a torch checkpoint",
            found=f"{len(records)} loose entries",
            hint=archive_hint(records),
        )
    return {name.partition("/")[2]: record for name, record in records.items()}
