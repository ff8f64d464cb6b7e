"""`repdiag compare MANIFEST`: entries read as the manifest says, fetched, resumed, and none stops another."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import timm
import torch
import typer
from torch import nn

from repdiag.checkpoints.sources import manifest as manifests
from repdiag.cli import compare as command
from repdiag.models.cifar_resnet import CifarResNet

MANIFEST = """
checkpoints:
  - id: transformer
    source: files/transformer.pth
    family: moco_v3
    backbone: vit_d96_patch8_depth2
    branch: momentum
    image_size: 16
    mean: [0.5, 0.5, 0.5]
    std: [0.25, 0.25, 0.25]
  - {{id: remote, source: "https://somewhere.invalid/resnet20.th", sha256: "{digest}", branch: online}}
  - {{id: broken, source: files/broken.pth}}
  - {{id: exchanged, source: files/transformer.pth, sha256: "{zeros}"}}
  - {{id: elsewhere, source: files/not_here.pth}}
  - {{id: unknown, source: null, published: []}}
  - {{id: not-wanted, source: files/broken.pth}}
"""
SETTINGS = {"data": "digits", "per_class": 6, "limit": 100, "untrained": False, "figures": False, "device": "cpu",
            "as_json": True, "no_progress": True}  # fmt: skip


class Server(http.server.HTTPServer):
    """Serves one file; the first connection breaks after a thousand bytes."""

    content = b""
    starts: list[int]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        first = not self.server.starts
        self.server.starts.append(start)
        self.send_response(206 if start else 200)
        size = len(self.server.content)
        self.send_header("Content-Length", str(size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(self.server.content[start : 1000 if first else None])

    def log_message(self, *unused: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.starts = []
    monkeypatch.setattr(manifests, "download", partial(manifests.download, allow_http=True))
    monkeypatch.setattr(manifests, "url_of", lambda source: f"http://127.0.0.1:{made.server_port}/file")
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def transformer(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    settings = {"img_size": 32, "patch_size": 8, "embed_dim": 96, "depth": 2, "num_heads": 3, "num_classes": 0}
    network: nn.Module = timm.models.vision_transformer.VisionTransformer(**settings)
    return network.state_dict()


@pytest.fixture
def manifest(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "cache"))
    files = tmp_path / "files"
    files.mkdir()
    state = {f"module.base_encoder.{name}": value for name, value in transformer(1).items()}
    state |= {f"module.momentum_encoder.{name}": value for name, value in transformer(2).items()}
    torch.save({"arch": "vit_small", "state_dict": state}, files / "transformer.pth")
    (files / "broken.pth").write_bytes(b"not a checkpoint")
    torch.save({"state_dict": CifarResNet(20).state_dict()}, tmp_path / "served.th")
    server.content = (tmp_path / "served.th").read_bytes()
    path = tmp_path / "manifest.yaml"
    path.write_text(MANIFEST.format(digest=hashlib.sha256(server.content).hexdigest(), zeros="0" * 64))
    return path


@pytest.fixture
def compare(manifest: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the command in this process, where the manifest's address leads to the server; return what it prints."""

    def run(*, download: bool) -> dict[str, Any]:
        with pytest.raises(typer.Exit) as left:
            command.compare([str(manifest)], only="[!n]*", download=download, **SETTINGS, out=manifest.parent / "out")
        assert left.value.exit_code == 1
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return run


@pytest.mark.slow
def test_a_manifest_is_compared_as_far_as_its_files_are_here(
    manifest: Path, server: Server, compare: Callable[..., dict[str, Any]]
) -> None:
    one = manifest.parent / "out" / "checkpoints" / "transformer" / "run.json"

    first = compare(download=False)
    assert set(first["missing"]) == {"remote", "elsewhere", "unknown"}
    assert "--download" in first["missing"]["remote"]
    assert "not_here.pth" in first["missing"]["elsewhere"]
    assert set(first["failures"]) == {"broken", "exchanged"}
    assert "sha256" in first["failures"]["exchanged"]
    encoder = json.loads(one.read_text())["encoder"]
    assert (encoder["branch"], encoder["backbone"]) == ("momentum", "vit_d96_patch8_depth2")
    assert (encoder["image_size"], encoder["mean"], encoder["std"]) == (16, [0.5] * 3, [0.25] * 3)
    stamp = one.stat().st_mtime_ns

    second = compare(download=True)
    assert "stopped after 1000 bytes" in second["failures"]["remote"]
    assert set(second["missing"]) == {"elsewhere", "unknown"}

    third = compare(download=True)
    assert server.starts == [0, 1000]
    assert set(third["failures"]) == {"broken", "exchanged"}
    assert one.stat().st_mtime_ns == stamp
    table = pd.read_csv(manifest.parent / "out" / "metrics.csv")
    assert set(table["checkpoint"]) == {"transformer", "remote"}

    # 96 and 64 features: read at a common number, the 60 train rows.
    common = pd.read_csv(manifest.parent / "out" / "common_dimension.csv")
    assert set(common["checkpoint"]) == {"transformer", "remote"}
    assert {row["metric"] for row in third["common_dimension"]} >= {"uniformity", "knn_accuracy", "rankme"}
