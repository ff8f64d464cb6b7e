"""Images decoded from files at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.data.decode import UnreadableImage, decode
from repdiag.data.walk import readable_name


class FileSource:
    """The images of some files below `root`; they may differ in size."""

    native_size: int | None = None

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, tuple(paths)

    def image(self, position: int) -> Tensor:
        """Decode one image; an error names the file, no other image takes its place."""
        path = self.paths[position]
        try:
            return decode((self.root / path).read_bytes())
        except (OSError, UnreadableImage) as error:
            raise DataError(
                f"{readable_name(path)} cannot be read",
                found=str(error),
                hint=f"mend or remove it; it lies below {self.root}",
            ) from error

    def stack(self, positions: NDArray[np.int64]) -> Tensor:
        """Refuse: images that differ in size do not stack."""
        raise DataError(f"the {len(positions)} images may differ in size", hint="read them one by one with .image(row)")
