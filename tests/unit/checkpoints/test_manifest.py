"""The manifest: lines in errors, paths relative to it, nothing wrong accepted as the file that was meant."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from repdiag.checkpoints.sources.download import download, url_of
from repdiag.checkpoints.sources.manifest import read_manifest
from repdiag.core.errors import CheckpointError, ConfigError

ROOT = Path(__file__).parents[3]
CONTENT = bytes(range(256)) * 4000


def manifest(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "checkpoints_manifest.yaml"
    path.write_text(text)
    return path


def test_the_shipped_manifest_is_valid_and_invents_nothing() -> None:
    entries = read_manifest(ROOT / "checkpoints_manifest.yaml").entries
    assert len(entries) > 20
    assert all(entry.source is None or entry.source.startswith(("https://", "torchvision:", "checkpoints/"))
               for entry in entries)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("checkpoints:\n  - id: a\n    epochs: many\n", 3, "epochs"),
        ("checkpoints:\n  - id: a\n    sha256: abc\n", 3, "sha256"),
        ("checkpoints:\n  - id: a\n    licens: MIT\n", 3, "licens"),
        ("checkpoints:\n  - id: a\n  - id: a\n", 3, "twice"),
        ("checkpoints:\n  - id: a\n    family: moco_v4\n", 3, "moco_v3"),
        ("checkpoints:\n  - id: a\n    branch: left\n", 3, "student"),
        ("checkpoints:\n  - id: a\n    std: [1, 1, 0]\n", 3, "std"),
        ("checkpoints:\n  - id: a\n    mean: [.nan, 0, 0]\n", 3, "mean"),
        ("checkpoints:\n  - id: a\n    epochs: true\n", 3, "epochs"),
        ("checkpoints:\n  - id: a\n    source: x\n    source: y\n", 4, "twice"),
        ("checkpoints:\n  - id: a\ncheckpoints:\n  - id: b\n", 3, "twice"),
        ('checkpoints:\n  - !!python/object/apply:os.system ["true"]\n', 2, "tags"),
        ("checkpoints:\n  - id: !!python/name:os.system x\n", 2, "tags"),
        ("checkpoints:\n  " + "[" * 5000 + "]" * 5000, 2, "deeply"),
        ("checkpoints:\n  - id: a\n    published:\n      - value: 200\n", 4, "published"),
        ("checkpoints:\n  - &x\n    id: a\n  - *x\n", 4, "aliases"),
        ("checkpoints:\n  - id: [\n", 3, "YAML"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, line: int, word: str) -> None:
    with pytest.raises(ConfigError, match=rf"line {line}\b.*{word}"):
        read_manifest(manifest(tmp_path, text))


def test_a_pipe_is_no_manifest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")  # opening it would wait for a writer
    with pytest.raises(ConfigError, match="regular file"):
        read_manifest(tmp_path / "x.yaml")


def test_paths_are_relative_to_the_manifest_and_verified(tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    text = f"checkpoints:\n  - {{id: a, source: weights/a.pt, sha256: {digest}, size: {len(CONTENT)}}}\n"
    entry = read_manifest(manifest(tmp_path, text)).get("a")
    assert not entry.is_present()
    assert str(tmp_path / "weights" / "a.pt") in entry.how_to_get()
    (tmp_path / "weights").mkdir()
    entry.local_path().write_bytes(CONTENT)
    entry.verify()
    entry.local_path().write_bytes(b"x" + CONTENT[1:])
    with pytest.raises(CheckpointError, match="sha256"):
        entry.verify()


def test_a_model_of_timm_brings_its_input_along(tmp_path: Path) -> None:
    text = 'checkpoints:\n  - {id: a, source: "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", image_size: 96}\n'
    read_options = read_manifest(manifest(tmp_path, text)).get("a").read_options()
    assert (read_options.mean, read_options.std, read_options.image_size) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 96)


def test_addresses() -> None:
    assert url_of("hf://org/repo/dir/file.bin@v1") == "https://huggingface.co/org/repo/resolve/v1/dir/file.bin"
    assert url_of("torchvision:resnet18").startswith("https://download.pytorch.org/")
    with pytest.raises(CheckpointError):
        url_of("ftp://x/y")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.starts.append(start)  # type: ignore[attr-defined]
        self.send_response(206 if start else 200)
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, *unused: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    made = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    made.starts = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_download_goes_on_where_it_stopped(tmp_path: Path, server: http.server.HTTPServer) -> None:
    path = tmp_path / "file.pt"
    (tmp_path / "file.pt.part").write_bytes(CONTENT[:1000])
    url = f"http://127.0.0.1:{server.server_port}/file.pt"
    download(url, path, sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert server.starts == [1000]  # type: ignore[attr-defined]
    assert not (tmp_path / "file.pt.part").exists()


def test_a_wrong_download_never_arrives(tmp_path: Path, server: http.server.HTTPServer) -> None:
    with pytest.raises(CheckpointError, match="not the file"):
        download(f"http://127.0.0.1:{server.server_port}/x", tmp_path / "x", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
