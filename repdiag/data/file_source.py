"""Images decoded from files, or from members of an archive, at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.data.decode import UnreadableImage, decode
from repdiag.data.reading import PLAIN, Reading
from repdiag.data.walk import readable_name


@runtime_checkable
class Archive(Protocol):
    """Where the bytes of image files come from: a folder, a tar, a zip, a table."""

    root: Path
    """What the scan's memory is kept for."""

    def read(self, path: str) -> bytes:
        """Return the bytes of one file; raise `OSError` with the reason where they cannot be had."""
        ...


class Folder:
    """The files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes:
        """Return the bytes of one file."""
        return (self.root / path).read_bytes()


class EncodedSource:
    """The images of some files of an archive; they may differ in size."""

    native_size: int | None = None

    def __init__(self, archive: Archive, paths: Sequence[str], reading: Reading = PLAIN) -> None:
        self.archive, self.paths, self.reading = archive, tuple(paths), reading

    def image(self, position: int) -> Tensor:
        """Decode one image; an error names the file, no other image takes its place."""
        path = self.paths[position]
        try:
            return decode(self.archive.read(path), self.reading)
        except (OSError, UnreadableImage) as error:
            raise DataError(
                f"{readable_name(path)} cannot be read",
                found=str(error),
                hint=f"repair or remove it; it lies below {self.archive.root}",
            ) from error

    def stack(self, positions: NDArray[np.int64]) -> Tensor:
        """Refuse: images that differ in size do not stack."""
        raise DataError(f"the {len(positions)} images may differ in size", hint="read them one by one with .image(row)")
