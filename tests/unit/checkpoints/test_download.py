"""Downloads: whole or an error, whatever the server sends; continued only where that is proven to be the same file."""

from __future__ import annotations

import hashlib
import http.server
import io
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from repdiag.checkpoints.sources import https
from repdiag.checkpoints.sources.addresses import checked_address, file_name_of
from repdiag.checkpoints.sources.download import download
from repdiag.core.errors import CheckpointError

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the function that is registered for the path, which writes the raw answer."""

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else None
        self.server.starts.append(start)  # type: ignore[attr-defined]
        ANSWERS[self.path](self, start)
        self.close_connection = True

    def raw(self, *lines: str, body: bytes = b"") -> None:
        self.wfile.write("".join(line + "\r\n" for line in (*lines, "")).encode("latin1") + body)

    def log_message(self, *unused: object) -> None:
        pass


def good(to: Handler, start: int | None) -> None:
    if start is None or to.headers.get("If-Range") not in (None, '"1"'):
        to.raw("HTTP/1.1 200 OK", f"Content-Length: {len(CONTENT)}", 'ETag: "1"', body=CONTENT)
    else:
        part = f"Content-Range: bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        to.raw(
            "HTTP/1.1 206 Partial", part, f"Content-Length: {len(CONTENT) - start}", 'ETag: "1"', body=CONTENT[start:]
        )


def slow(to: Handler, start: int | None) -> None:
    to.raw("HTTP/1.1 200 OK", "Content-Length: 1000")
    for at in range(0, 1000, 100):
        to.wfile.write(CONTENT[at : at + 100])
        to.wfile.flush()
        time.sleep(0.1)


def trickling(to: Handler, start: int | None) -> None:
    for _ in range(100):
        to.wfile.write(b"H")
        to.wfile.flush()
        time.sleep(0.05)


def halves(*first: str) -> Callable[[Handler, int | None], None]:
    """Break off after half of the file, and answer a request for the rest by these lines and wrong bytes."""

    def answer(to: Handler, start: int | None) -> None:
        if start is None:
            to.raw("HTTP/1.1 200 OK", "Content-Length: 100", *first[:1], body=CONTENT[:50])
        else:
            to.raw(*first[1:], body=b"x" * 50)

    return answer


def lines(*text: str, body: bytes = b"") -> Callable[[Handler, int | None], None]:
    return lambda to, start: to.raw(*text, body=body)


ANSWERS: dict[str, Callable[[Handler, int | None], None]] = {
    "/good": good,
    "/slow": slow,
    "/trickle": trickling,
    "/no-tag": halves("X: y", "HTTP/1.1 206 P", "Content-Range: bytes 50-99/100"),
    "/other-tag": halves('ETag: "1"', "HTTP/1.1 206 P", "Content-Range: bytes 50-99/100", 'ETag: "2"'),
    "/weak-tag": halves('ETag: W/"1"', "HTTP/1.1 206 P", "Content-Range: bytes 50-99/100", 'ETag: W/"1"'),
    "/other-place": halves('ETag: "1"', "HTTP/1.1 206 P", "Content-Range: bytes 40-99/100", 'ETag: "1"'),
    "/no-range": halves('ETag: "1"', "HTTP/1.1 206 P", 'ETag: "1"'),
    "/416": halves('ETag: "1"', "HTTP/1.1 416 X", "Content-Length: 0"),
    "/416-longer": halves('ETag: "1"', "HTTP/1.1 416 X", "Content-Range: bytes */70", "Content-Length: 0"),
    "/chunk": lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n10\r\nabc"),
    "/status": lines("HELLO"),
    "/length": lines("HTTP/1.1 200 OK", "Content-Length: abc", body=b"hello"),
    "/negative": lines("HTTP/1.1 200 OK", "Content-Length: -5", body=b"hello"),
    "/two-lengths": lines("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6", body=b"hello"),
    "/long": lines("HTTP/1.1 200 OK", "X: " + "a" * 70_000),
    "/many": lines("HTTP/1.1 200 OK", *(f"X{index}: a" for index in range(200))),
    "/packed": lines("HTTP/1.1 200 OK", "Content-Encoding: gzip", "Content-Length: 5", body=b"hello"),
    "/unasked": lines("HTTP/1.1 206 P", "Content-Range: bytes 5-9/10", "Content-Length: 5", body=b"hello"),
    "/loop": lines("HTTP/1.1 302 F", "Location: /loop"),
    "/ftp": lines("HTTP/1.1 302 F", "Location: ftp://127.0.0.1:1/x"),
    "/file": lines("HTTP/1.1 302 F", "Location: file:///etc/passwd"),
    "/nothing": lines("HTTP/1.1 302 F"),
    "/404": lines("HTTP/1.1 404 \x1b[2J"),
    "/endless": lines("HTTP/1.1 200 OK", body=bytes(4 * 2**20)),
    "/empty": lines("HTTP/1.1 204 No"),
}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *unused: Any) -> None:
        """Clients that go away are what is tested."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.starts = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def fetch(server: Server, path: str, folder: Path, **options: Any) -> Path:
    return download(f"http://127.0.0.1:{server.server_port}{path}", folder / "file.pt", allow_http=True, **options)


def test_a_download_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file.pt.part").write_bytes(CONTENT[:1000])
    assert fetch(server, "/good", tmp_path, sha256=SHA256, size=len(CONTENT)).read_bytes() == CONTENT
    (tmp_path / "file.pt.part").write_bytes(CONTENT[:2000])
    (tmp_path / "file.pt.part.etag").write_text('"1"')
    assert fetch(server, "/good", tmp_path).read_bytes() == CONTENT
    assert server.starts == [1000, 2000]  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["file.pt"]


def test_a_part_of_another_version_is_fetched_anew(tmp_path: Path, server: Server) -> None:
    for tag, sha256, starts in ((None, None, [None]), ('"0"', None, [9]), (None, SHA256, [9, None])):
        server.starts.clear()  # type: ignore[attr-defined]
        (tmp_path / "file.pt.part").write_bytes(b"other one")
        if tag:
            (tmp_path / "file.pt.part.etag").write_text(tag)
        assert fetch(server, "/good", tmp_path, sha256=sha256).read_bytes() == CONTENT
        assert server.starts == starts  # type: ignore[attr-defined]


HALVES = ("/no-tag", "/other-tag", "/weak-tag", "/other-place", "/no-range", "/416", "/416-longer")
BROKEN = ("/chunk", "/status", "/length", "/negative", "/two-lengths", "/long", "/many", "/packed", "/unasked", "/loop",
          "/ftp", "/file", "/nothing", "/404", "/empty")  # fmt: skip


@pytest.mark.parametrize("path", HALVES)
def test_half_of_a_file_is_never_joined_with_other_bytes(path: str, tmp_path: Path, server: Server) -> None:
    for _ in range(2):
        with pytest.raises(CheckpointError, match="stopped after"):
            fetch(server, path, tmp_path)
    assert not (tmp_path / "file.pt").exists()


@pytest.mark.parametrize("path", BROKEN)
def test_what_breaks_the_protocol_is_one_kind_of_error(path: str, tmp_path: Path, server: Server) -> None:
    with pytest.raises(CheckpointError) as caught:
        fetch(server, path, tmp_path)
    assert "\x1b" not in str(caught.value)
    assert not (tmp_path / "file.pt").exists()


def test_no_more_is_taken_than_the_entry_says(tmp_path: Path, server: Server) -> None:
    for path, options in (("/endless", {"size": 1000}), ("/good", {"size": 1000}), ("/good", {"sha256": "0" * 64})):
        with pytest.raises(CheckpointError, match="not the file"):
            fetch(server, path, tmp_path, **options)
        assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_letters_is_left(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "_UNTIL_MOVE", 0.3)
    started = time.monotonic()
    with pytest.raises(CheckpointError):
        fetch(server, "/trickle", tmp_path)
    assert time.monotonic() - started < 3.0


def test_two_processes_that_fetch_one_file_both_get_it(tmp_path: Path, server: Server) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom repdiag.checkpoints.sources.download import download\n"
        "print(len(download(sys.argv[1], Path(sys.argv[2]), allow_http=True).read_bytes()))"
    )
    command = [sys.executable, "-c", code, f"http://127.0.0.1:{server.server_port}/slow", str(tmp_path / "file.pt")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60) for process in both] == [("1000\n", "")] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["file.pt"]
    assert (tmp_path / "file.pt").read_bytes() == CONTENT[:1000]


def test_only_https_is_asked_and_followed(tmp_path: Path, server: Server) -> None:
    with pytest.raises(CheckpointError, match="stopped after 0"):
        download(f"http://127.0.0.1:{server.server_port}/good", tmp_path / "x")
    assert server.starts == []  # type: ignore[attr-defined]
    request = urllib.request.Request("https://a/x")
    follow = https._Redirects(allow_http=False).redirect_request
    assert follow(request, io.BytesIO(), 302, "", {}, "https://b/x").full_url == "https://b/x"
    for other in ("http://a/x", "ftp://a/x", "file:///x", "data:,x"):
        with pytest.raises(https.BadAnswerError, match="not https"):
            follow(request, io.BytesIO(), 302, "", {}, other)


def test_addresses_are_checked_and_names_are_those_of_files() -> None:
    assert checked_address("https://host/a b/\u00e9?q=1#x") == "https://host/a%20b/%C3%A9?q=1"
    assert checked_address("https://b\u00fccher.example:8443") == "https://xn--bcher-kva.example:8443/"
    for bad in ("https://", "https:///x", "https://[::1/x", "https://h:99999/x", "https://u:p@h/x", "https://h/x\r\nA:",
                "https://h/\u202e", "https://h/" + "a" * 3000, "https://" + "a" * 70 + ".b/x"):  # fmt: skip
        with pytest.raises(CheckpointError, match="not an address"):
            checked_address(bad)
    assert file_name_of("https://host/" + "a" * 300 + ".pth")[-5:] == "a.pth"
    assert len(file_name_of("https://host/" + "a" * 300)) == 120
    assert {file_name_of(f"https://host/{name}") for name in ("", "..", ".", "\u202e")} == {"checkpoint", "_"}
