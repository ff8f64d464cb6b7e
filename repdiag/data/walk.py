"""Walking folders of images: sorted, each real folder once, whatever links and names there are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repdiag.data.extensions import EXTENSIONS, UNREAD_IMAGES, extension
from repdiag.data.image_split import Excluded

Identity = tuple[int, int]
"""Device and inode: what a folder is, however many links lead to it."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """An image file by name; nothing has been read of it."""

    path: str
    """Relative to the folder that was walked, with forward slashes."""
    size: int
    mtime_ns: int
    ctime_ns: int = 0
    """When the file was last changed in any way, which no program can set back; 0 where that is not known."""


@dataclass
class Walk:
    """One walk below `root`, listing each real folder once, so that links cannot lead in circles.

    Links to files and folders are followed, also out of the root, but a folder counts where it really is: links are
    followed after all real folders were entered. Hidden names are passed over, and so are files without an image's
    extension, which `passed_over` counts.
    """

    root: Path
    excluded: list[Excluded] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files that are no images by their names, by the ends of these."""
    _entered: set[Identity] = field(default_factory=set)

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in `path`, sorted, and mark them as entered."""
        entries = sorted(self._entries(path), key=lambda entry: entry.name)
        real = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        linked = [entry.name for entry in entries if entry.is_symlink() and entry.is_dir()]
        self._entered.add(_identity(self.root / path))
        return sorted(name for name in real + linked if self._enter(_join(path, name)))

    def files(self, folders: Sequence[str]) -> list[list[FoundFile]]:
        """Return the image files below each of the folders, sorted by path; the folders were listed by `folders`."""
        found: list[list[FoundFile]] = [[] for _ in folders]
        ahead = [(owner, folder) for owner, folder in enumerate(folders)]
        while ahead:
            links: list[tuple[int, str]] = []
            for owner, folder in ahead:
                found[owner] += self._below(folder, links=links, owner=owner)
            ahead = [(owner, link) for owner, link in sorted(links) if self._enter(link)]
        return [sorted(files, key=lambda one: one.path) for files in found]

    def _below(self, folder: str, *, links: list[tuple[int, str]], owner: int) -> Iterator[FoundFile]:
        for entry in self._entries(folder):
            name = _join(folder, entry.name)
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._enter(name):
                        yield from self._below(name, links=links, owner=owner)
                elif entry.is_dir():
                    links.append((owner, name))
                else:
                    yield from self._file(entry, name)
            except OSError as error:
                self._exclude(name, "a broken link" if entry.is_symlink() else str(error.strerror))

    def _file(self, entry: os.DirEntry[str], name: str) -> Iterator[FoundFile]:
        kind = extension(entry.name)
        if kind in EXTENSIONS:
            status = entry.stat()
            yield FoundFile(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        elif kind in UNREAD_IMAGES:
            self._exclude(name, UNREAD_IMAGES[kind])
        else:
            self.passed_over[kind or "no extension"] += 1

    def loose_files(self, folder: str) -> list[FoundFile]:
        """Return the image files that lie in a folder itself, sorted, and count the others there."""
        found: list[FoundFile] = []
        for entry in self._entries(folder):
            try:
                if not entry.is_dir():
                    found += self._file(entry, _join(folder, entry.name))
            except OSError as error:
                name = _join(folder, entry.name)
                self._exclude(name, "a broken link" if entry.is_symlink() else str(error.strerror))
        return sorted(found, key=lambda one: one.path)

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / path) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            self._exclude(path, str(error.strerror))
            return []

    def _enter(self, path: str) -> bool:
        try:
            identity = _identity(self.root / path)
        except OSError as error:
            self._exclude(path, str(error.strerror))
            return False
        if identity in self._entered:
            self._exclude(path, "a link to a folder that is listed already")
            return False
        self._entered.add(identity)
        return True

    def _exclude(self, path: str, reason: str) -> None:
        self.excluded.append(Excluded(readable_name(path), reason))


def readable_name(path: str) -> str:
    """Return a file's name as text that can be stored: bytes that are no UTF-8 are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
