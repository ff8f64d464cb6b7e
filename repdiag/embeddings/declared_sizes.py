"""What a compressed file will take in memory, read from its own headers before anything is allocated."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection
from pathlib import Path

from numpy.lib import format as npy

from repdiag.core.errors import DataError
from repdiag.core.memory import available_memory

_SHARE = 0.8  # of the memory at hand that the arrays of one file may take
_NUMBER = 8  # bytes that one value of a parquet file takes at most, once it is read


def check_npz(path: Path) -> None:
    """Raise `DataError` where the arrays of an archive are larger than memory, or are not as large as they say."""
    with zipfile.ZipFile(path) as archive:
        declared = 0
        for entry in archive.infolist():
            found = _array_bytes(archive, entry)
            if found is None:
                continue  # no array: numpy says what it is when it is asked for
            header, size = found
            if header + size != entry.file_size:
                sizes = f"{entry.filename}: {size} bytes by its shape, {entry.file_size - header} in the archive"
                raise DataError(f"{path.name} is damaged: an array does not have its declared size", found=sizes)
            declared += size
    _refuse_beyond_memory(path, declared)


def check_parquet(path: Path, names: Collection[str]) -> None:
    """Raise `DataError` where these columns of a parquet file would not fit in memory: in it, repeats take none."""
    import pyarrow.parquet as pq

    found = pq.read_metadata(path)
    tops = {name.partition(".")[0] for name in names}
    groups = (found.row_group(number) for number in range(found.num_row_groups))
    declared = 0
    for group in groups:
        every = (group.column(number) for number in range(group.num_columns))
        columns = (column for column in every if column.path_in_schema.partition(".")[0] in tops)
        declared += sum(max(column.num_values * _NUMBER, column.total_uncompressed_size) for column in columns)
    _refuse_beyond_memory(path, declared)


def _array_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[int, int] | None:
    """Return the bytes of the header of an array in the npy format and those after it, None for another format."""
    with archive.open(entry) as member:
        if member.read(npy.MAGIC_LEN)[: len(npy.MAGIC_PREFIX)] != npy.MAGIC_PREFIX:
            return None
        member.seek(0)
        version = npy.read_magic(member)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(member)
        return None if dtype.hasobject else (member.tell(), math.prod(shape) * int(dtype.itemsize))


def _refuse_beyond_memory(path: Path, declared: int) -> None:
    bound = int(_SHARE * available_memory())
    if declared > bound:
        raise DataError(
            f"{path.name} does not fit in memory once it is unpacked",
            found=f"{declared / 2**30:.1f} GiB, of {bound / 2**30:.1f} GiB that may be used",
            hint="store the vectors as .npy, which is read from disk, or take fewer rows",
        )
