"""A small Hugging Face hub on this machine, through https with a certificate of its own authority."""

from __future__ import annotations

import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

TOKEN = "hf_of_a_test"


class Hub(http.server.ThreadingHTTPServer):
    """Repositories as {"org/name": {"revision": {"file": bytes}}}; names that start with `private/` want the token."""

    def __init__(self, folder: Path, repositories: dict[str, dict[str, dict[str, bytes]]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.context = context
        self.certificate = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.certificate))
        self.repositories = repositories
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"https://localhost:{self.server_address[1]}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Speak TLS with a client; one that does not trust the certificate is let go."""
        with suppress(ssl.SSLError, ConnectionError), self.context.wrap_socket(request, server_side=True) as stream:
            super().finish_request(stream, client_address)


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        repo = "/".join(parts[2:4] if api else parts[:2])
        versions = self.server.repositories.get(repo)
        if versions is None or (repo.startswith("private/") and self.headers.get("Authorization") != f"Bearer {TOKEN}"):
            self._send(401 if repo.startswith("private/") else 404, b"", {"X-Error-Code": "RepoNotFound"})
            return
        revision = parts[5] if api and len(parts) > 5 else "main" if api else parts[3]
        name = {commit_of(version): version for version in versions}.get(revision, revision)
        files = versions.get(name)
        if files is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        if api:
            listed = [{"rfilename": file, "type": "file", "path": file, "size": len(data), "oid": "0" * 40}
                      for file, data in files.items()]  # fmt: skip
            found = listed if "tree" in parts else {"id": repo, "sha": commit_of(name), "siblings": listed}
            self._send(200, json.dumps(found).encode() if with_body else b"", {"Content-Type": "application/json"})
            return
        data = files.get("/".join(parts[4:]))
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit_of(name)})
            return
        tag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"ETag": tag, "X-Linked-Etag": tag, "X-Linked-Size": str(len(data)), "X-Repo-Commit": commit_of(name)}
        self._send(200, data if with_body else b"", headers, length=len(data))

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, length: int | None = None) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body) if length is None else length)}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused: object) -> None:
        pass


def commit_of(version: str) -> str:
    """Return the hash that stands for a version."""
    return hashlib.sha1(version.encode(), usedforsecurity=False).hexdigest()


@contextmanager
def running(folder: Path, repositories: dict[str, dict[str, dict[str, bytes]]]) -> Iterator[Hub]:
    """Serve the repositories until the end."""
    hub = Hub(folder, repositories)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join(5)
