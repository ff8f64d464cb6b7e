"""One https request whose answer is checked: where it was redirected to, which bytes it has, how long it took."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from repdiag.core.printable import one_line

_SILENCE = 60.0  # seconds without a byte
_UNTIL_MOVE = 120.0  # seconds for all redirects and headers, or for a block; a server can send them letter by letter
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})")
_TAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')  # a weak one (W/) does not promise the same bytes


class BadAnswerError(Exception):
    """An answer that does not follow the protocol, or goes where it may not."""


@dataclass(kw_only=True)
class Answer:
    """What a server sends: bytes from `start` on, `length` of them where it says so, of a file of `whole` bytes."""

    stream: Any
    watch: _Watch
    status: int
    start: int
    length: int | None
    whole: int | None
    tag: str | None

    def continues(self, have: int, *, tag: str | None) -> bool:
        """Say whether this is the rest of a part of so many bytes, of the version with this tag (None: any)."""
        return self.status == 206 and self.start == have and tag in (None, self.tag)

    def is_complete(self, have: int) -> bool:
        """Say whether the server has no more than these bytes."""
        return self.status == 416 and self.whole == have

    def read(self, count: int) -> bytes:
        """Return some bytes, at most so many, and none at the end."""
        data: bytes = self.stream.read1(count)
        self.watch.moved()
        return data

    def close(self) -> None:
        """End the connection."""
        self.stream.close()


@contextmanager
def ask(url: str, *, start: int, tag: str | None, allow_http: bool) -> Iterator[Answer]:
    """Send a request for the bytes from `start` on, if the file still has this tag, and give the checked answer."""
    headers = {"User-Agent": "repdiag", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": tag} if tag else {})
    watch = _Watch()
    opener = _opener(watch, allow_http=allow_http)
    with watch:
        try:
            response: Any = opener.open(urllib.request.Request(url, headers=headers), timeout=_SILENCE)
        except urllib.error.HTTPError as error:
            if error.code != 416 or not start:
                error.close()
                raise
            response = error
        with response:
            yield _checked(response, watch, start=start)


def _checked(response: Any, watch: _Watch, *, start: int) -> Answer:
    headers = response.headers
    status = int(response.status)
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise BadAnswerError(f"the server packs the file: Content-Encoding {one_line(encoding, 40)}")
    tag = _TAG.fullmatch(headers.get("ETag") or "")
    first, whole = 0, None
    if status == 206:
        found = _RANGE.fullmatch(headers.get("Content-Range") or "")
        if found is None or not start:
            raise BadAnswerError("the server sent a part of the file that it does not name, or that was not asked for")
        first, last = int(found[1]), int(found[2])
        whole = None if found[3] == "*" else int(found[3])
        if last < first or (whole is not None and last != whole - 1):
            raise BadAnswerError(f"the server sent an impossible part: {one_line(found[0], 80)}")
    elif status == 416:
        rest = _UNSATISFIED.fullmatch(headers.get("Content-Range") or "")
        whole, first = (int(rest[1]) if rest else None), -1
    elif status != 200:
        raise BadAnswerError(f"the server answered with status {status}")
    length = _length(headers)
    if status == 206 and whole is not None and length not in (None, whole - first):
        raise BadAnswerError("the server states two lengths")
    return Answer(
        stream=response, watch=watch, status=status, start=first, length=length, whole=whole, tag=tag and tag[0]
    )


def _length(headers: Any) -> int | None:
    lengths = headers.get_all("Content-Length") or []
    if not lengths or headers.get("Transfer-Encoding"):
        return None
    if len(set(lengths)) > 1 or not re.fullmatch(r"\d{1,18}", lengths[0].strip()):
        raise BadAnswerError(f"the server states an impossible length: {one_line(lengths[0], 40)}")
    return int(lengths[0])


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only."""

    max_redirections = 5

    def __init__(self, *, allow_http: bool) -> None:
        self._schemes = ("https://", "http://") if allow_http else ("https://",)

    def redirect_request(self, req: urllib.request.Request, *answer: Any) -> urllib.request.Request | None:
        """Return the request that a redirect leads to; `answer` ends with its address, as the library gives it."""
        if not answer[-1].lower().startswith(self._schemes):
            answer[0].close()
            raise BadAnswerError(f"the server redirects to {one_line(answer[-1], 100)}, which is not https")
        return super().redirect_request(req, *answer)


def _opener(watch: _Watch, *, allow_http: bool) -> urllib.request.OpenerDirector:
    """Return what opens https and nothing else; the standard one also opens ftp and data addresses."""

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(watch.https, req)

    class Http(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(watch.http, req)

    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        Https(),
        _Redirects(allow_http=allow_http),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ]
    for handler in handlers + ([Http()] if allow_http else []):
        opener.add_handler(handler)
    return opener


class _Watch:
    """Ends the connections of a request when nothing came of it for too long, whatever the server sends meanwhile."""

    def __init__(self) -> None:
        self._connections: list[http.client.HTTPConnection] = []
        self._done = threading.Event()
        self._deadline = 0.0

    def https(self, *arguments: Any, **options: Any) -> http.client.HTTPSConnection:
        """Return a connection that is watched."""
        connection = http.client.HTTPSConnection(*arguments, **options)
        self._connections.append(connection)
        return connection

    def http(self, *arguments: Any, **options: Any) -> http.client.HTTPConnection:
        """Return an unencrypted connection that is watched."""
        connection = http.client.HTTPConnection(*arguments, **options)
        self._connections.append(connection)
        return connection

    def moved(self) -> None:
        """Wait as long again from now on."""
        self._deadline = time.monotonic() + _UNTIL_MOVE

    def _wait(self) -> None:
        while not self._done.wait(max(0.05, self._deadline - time.monotonic())):
            if time.monotonic() >= self._deadline:
                for connection in self._connections:
                    with suppress(OSError, AttributeError):
                        connection.sock.shutdown(socket.SHUT_RDWR)
                return

    def __enter__(self) -> None:
        self.moved()
        threading.Thread(target=self._wait, daemon=True).start()

    def __exit__(self, *unused: object) -> None:
        self._done.set()
