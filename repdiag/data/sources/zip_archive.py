"""`zip:PATH`: a zip of class folders, read without being unpacked."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

from repdiag.core.errors import DataError
from repdiag.data.assembly import ReadRequest
from repdiag.data.image_split import ImageSplit
from repdiag.data.sources.listing import Listing, open_listing
from repdiag.data.sources.named_members import read_names
from repdiag.data.walk import FoundFile


def open_zip(path: Path, split: str, request: ReadRequest, *, name: str) -> ImageSplit:
    """Open a split of a zip; folders in it are parts and classes as in a folder of images."""
    if not path.is_file():
        raise DataError(f"{path} is not a file", hint="name a .zip of class folders")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {one.filename: one for one in archive.infolist() if not one.is_dir()}
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is not a complete zip", found=str(error), hint="fetch or write it again") from error
    if any(one.flag_bits & 1 for one in members.values()):
        raise DataError(f"{path} is encrypted", hint="unpack it and name the folder: imagefolder:PATH")
    found = read_names(list(members), name)
    status = path.stat()
    listing = Listing(
        name=name,
        archive=ZipImages(path),
        files=[FoundFile(one, members[one].file_size, status.st_mtime_ns, status.st_ctime_ns) for one in found.names],
        labels=found.labels,
        parts=found.parts,
        excluded=found.excluded,
        notes=found.notes,
    )
    return open_listing(listing, split, request)


class ZipImages:
    """Members of a zip; each process and thread opens it for itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._opened = threading.local()

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.root = state["root"]
        self._opened = threading.local()

    def read(self, path: str) -> bytes:
        """Return the bytes of one member."""
        if not hasattr(self._opened, "archive"):
            self._opened.archive = zipfile.ZipFile(self.root)
        try:
            data: bytes = self._opened.archive.read(path)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise OSError(str(error)) from error
        return data
