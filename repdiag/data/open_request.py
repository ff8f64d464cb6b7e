"""`OpenRequest`: what a dataset's opener is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repdiag.core.errors import DataError
from repdiag.data.assembly import ReadRequest
from repdiag.data.image_split import ImageSplit
from repdiag.data.reading import PLAIN, Reading


@dataclass(frozen=True, kw_only=True)
class OpenRequest:
    """Open `split` ("train" or "val") below `root`; fetch it only if `download`.

    `strict` makes unreadable images an error; `check` says whether all images are decoded at once to find them (None
    leaves that to the size of the set), `check_content` whether files that seem unchanged are read again.
    """

    split: str
    root: Path
    download: bool = False
    strict: bool = False
    check: bool | None = None
    check_content: bool = False
    reading: Reading = PLAIN

    def read_request(self) -> ReadRequest:
        """Return how images are read."""
        return ReadRequest(strict=self.strict, check=self.check, check_content=self.check_content, reading=self.reading)


Opener = Callable[[OpenRequest], ImageSplit]
"""What an entry point of the group `repdiag.datasets` names."""


def missing(name: str, where: Path, *, how: str) -> DataError:
    """Return the error for a dataset that is not there: where it was looked for, how to get it."""
    return DataError(f"{name} is not here", found=f"nothing usable in {where}", hint=how)
