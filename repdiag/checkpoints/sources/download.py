"""Fetches checkpoint files: resumed where they stopped, verified, and in place only when complete.

The other side is trusted with nothing: addresses are https, also after redirects; a part is continued only where the
answer proves that it belongs to the same version; length and time are bounded; two processes may fetch the same file.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from repdiag.checkpoints.sources.addresses import checked_address, digest_in
from repdiag.checkpoints.sources.https import Answer, BadAnswerError, ask
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

_BLOCK = 2**18
_WINDOW = 60.0
_LEAST_IN_WINDOW = 64 * 2**10
_LONGEST = 24 * 3600.0
_MOST = 2**40
_PROTOCOL = (OSError, http.client.HTTPException, ValueError, BadAnswerError)


def download(
    url: str, path: Path, *, sha256: str | None = None, size: int | None = None, allow_http: bool = False
) -> Path:
    """Fetch a file to `path`: a part that is already here is continued, a wrong file is removed and reported.

    `size` in bytes bounds what is taken; without it, the length that the server states does. Raises `CheckpointError`
    for whatever goes wrong, with what to do. `allow_http` lets an address, or one that it redirects to, be unencrypted.
    """
    address = checked_address(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    transfer = _Transfer(address, path, sha256=sha256, size=size, allow_http=allow_http)
    try:
        return transfer.run()
    except _PROTOCOL as error:
        raise CheckpointError(
            f"the download of {one_line(url, 300)} stopped after {transfer.have} bytes",
            found=one_line(str(error) or type(error).__name__, 160),
            hint="run it again: it continues where it stopped"
            if transfer.have
            else "check the address, and the network",
        ) from error


class _Transfer:
    """One download: a part file, which version of the remote file it is of, and how much of it is here."""

    def __init__(self, url: str, path: Path, *, sha256: str | None, size: int | None, allow_http: bool) -> None:
        self.url, self.path = url, path
        self.sha256, self.size, self.allow_http = sha256, size, allow_http
        self.expected = sha256 or digest_in(url) or ""
        self.part = path.with_name(path.name + ".part")
        self.version = path.with_name(path.name + ".part.etag")
        self.have = 0

    def run(self) -> Path:
        """Fetch, verify and put in place; a part that turned out to be of another version is fetched anew."""
        with _PartFile(self) as (stream, shared):
            resumed = shared and self._resumable(stream)
            if not resumed:
                self._start_anew(stream)
            self._fetch(stream, resume=resumed)
            problem = self._problem()
            if problem is not None and resumed:
                self._start_anew(stream)
                self._fetch(stream, resume=False)
                problem = self._problem()
            if problem is not None:
                self._remove()
                raise problem
            self.part.replace(self.path)
            self._remove()
        return self.path

    def _resumable(self, stream: IO[bytes]) -> bool:
        """Say whether what is here may be continued: the entry's digest or the server's tag will tell what it is."""
        self.have = stream.seek(0, os.SEEK_END)
        return self.have > 0 and (self.sha256 is not None or self._tag() is not None)

    def _tag(self) -> str | None:
        with suppress(OSError, UnicodeDecodeError):
            return self.version.read_text("ascii") or None
        return None

    def _start_anew(self, stream: IO[bytes]) -> None:
        self.have = 0
        stream.seek(0)
        stream.truncate()
        self.version.unlink(missing_ok=True)

    def _fetch(self, stream: IO[bytes], *, resume: bool) -> None:
        tag = self._tag() if resume else None
        with ask(self.url, start=self.have if resume else 0, tag=tag, allow_http=self.allow_http) as answer:
            if resume and not answer.continues(self.have, tag=tag):
                if answer.is_complete(self.have):
                    return
                self._start_anew(stream)
                if answer.start != 0:  # a part that was not asked for, or none
                    answer.close()
                    self._fetch(stream, resume=False)
                    return
            if answer.start != self.have:
                raise BadAnswerError(f"the server sent bytes from {answer.start} on instead of from {self.have}")
            self._take(answer, stream)

    def _take(self, answer: Answer, stream: IO[bytes]) -> None:
        whole = None if answer.length is None else self.have + answer.length
        if self.size is not None and whole is not None and whole != self.size:
            self._remove()
            raise self._unexpected(f"{whole} bytes")
        most = self.size if whole is None else whole
        free = shutil.disk_usage(self.path.parent).free
        if most is not None and most - self.have > free:
            raise CheckpointError(f"there is no room for {self.path}", found=f"{most:,} bytes, {free:,} are free")
        if answer.tag:
            self.version.write_text(answer.tag, "ascii")
        stream.seek(self.have)
        clock = _Clock()
        while block := answer.read(_BLOCK):
            stream.write(block)
            self.have += len(block)
            clock.passed(len(block))
            if self.have > (most or min(_MOST, free)):
                self._remove()
                raise self._unexpected(f"more than {most or min(_MOST, free):,} bytes")
        stream.flush()
        os.fsync(stream.fileno())
        if whole is not None and self.have != whole:  # a connection that breaks looks like the end of the file
            raise ConnectionError(f"the connection broke: {self.have} of {whole} bytes")

    def _problem(self) -> CheckpointError | None:
        with self.part.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        length = self.part.stat().st_size
        wrong = (self.size is not None and length != self.size) or not digest.startswith(self.expected)
        return self._unexpected(f"{length} bytes, sha256 {digest}") if wrong else None

    def _unexpected(self, found: str) -> CheckpointError:
        return CheckpointError(
            f"{one_line(self.url, 300)} is not the file that was expected; it was removed",
            found=found,
            hint=f"expected {self.size or 'any number of'} bytes, sha256 {self.expected or 'unknown'}",
        )

    def _remove(self) -> None:
        self.part.unlink(missing_ok=True)
        self.version.unlink(missing_ok=True)


class _PartFile:
    """The part file, open and held against other processes; where another one holds it, a private file instead."""

    def __init__(self, transfer: _Transfer) -> None:
        self._transfer = transfer
        self._private = False

    def __enter__(self) -> tuple[IO[bytes], bool]:
        transfer = self._transfer
        self._stream = _opened(transfer.part)
        while _holds(self._stream) and not _is_at(self._stream, transfer.part):  # another process has just finished it
            self._stream.close()
            self._stream = _opened(transfer.part)
        if not _holds(self._stream):
            self._stream.close()
            self._private = True
            number, name = tempfile.mkstemp(
                prefix=transfer.path.name[:80] + ".", suffix=".part", dir=transfer.path.parent
            )
            self._stream = os.fdopen(number, "r+b")
            transfer.part = Path(name)
            transfer.version = Path(name + ".etag")
        return self._stream, not self._private

    def __exit__(self, *unused: object) -> None:
        self._stream.close()
        if self._private:
            self._transfer._remove()


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")


def _is_at(stream: IO[bytes], path: Path) -> bool:
    """Say whether a path still names the file that is open."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holds(stream: IO[bytes]) -> bool:
    """Hold a file until it is closed, also by the end of this process; False where another process holds it."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where a file that is open for writing cannot be replaced
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class _Clock:
    """Ends a download that takes longer than any, or that hardly moves."""

    def __init__(self) -> None:
        self._started = self._window = time.monotonic()
        self._taken = 0

    def passed(self, count: int) -> None:
        """Count bytes; raises `TimeoutError` where they come too slowly."""
        now = time.monotonic()
        self._taken += count
        if now - self._started > _LONGEST:
            raise TimeoutError(f"it takes longer than {_LONGEST / 3600:.0f} hours")
        if now - self._window > _WINDOW:
            if self._taken < _LEAST_IN_WINDOW:
                raise TimeoutError(f"{self._taken} bytes in {now - self._window:.0f} s")
            self._window, self._taken = now, 0
