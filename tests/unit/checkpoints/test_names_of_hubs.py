"""Names of hubs on the command line, through real https: token, mirror, cache, offline, pinned revision, checksums."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import CheckpointError
from repdiag.workflows import targets
from tests.unit.checkpoints.families import resnet18
from tests.unit.checkpoints.hub import TOKEN, Hub, commit_of, running

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
# What a command does with a word before anything is read, without the seconds that torch takes to be imported.
FETCH = """
import json, sys
from repdiag.core.errors import RepdiagError
from repdiag.workflows.targets import find_checkpoint
found = {}
for word in sys.argv[1:]:
    try:
        found[word] = str(find_checkpoint(word).path)
    except RepdiagError as error:
        found[word] = f"error: {error}"
print(json.dumps(found))
"""


def weights(seed: int) -> bytes:
    return save(resnet18(seed).state_dict())


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    config = {"architecture": "resnet18", "num_classes": 0, "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": weights(0), "README.md": b"not fetched"}
    repositories = {
        "org/net": {"main": files, "v2": files | {"model.safetensors": weights(1)}},
        "private/net": {"main": files},
        "org/none": {"main": {"README.md": b"no weights"}},
    }
    with running(tmp_path_factory.mktemp("hub"), repositories) as found:
        yield found


def fetch(hub: Hub, home: Path, *words: str, **more: str) -> dict[str, str]:
    told = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "SSL_CERT_FILE": str(hub.certificate)}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SSL_"))}
    environment |= {"HF_HUB_DISABLE_XET": "1", **told, **more}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, *words], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def same(path: str, seed: int) -> bool:
    return torch.equal(load_encoder(path)(IMAGES), resnet18(seed)(IMAGES))


def test_repositories_files_revisions_tokens_and_the_cache(hub: Hub, tmp_path: Path) -> None:
    words = ["hf://org/net", "hf://org/net@v2", f"hf://org/net@{commit_of('main')}", "hf://org/net/model.safetensors@v2",
             "hf://private/net", "hf://org/none", "hf://org/gone"]  # fmt: skip
    found = fetch(hub, tmp_path, *words, HF_TOKEN=TOKEN)
    encoder = load_encoder(found["hf://org/net"])
    assert (encoder.info.family, encoder.info.mean) == ("timm_hub", (0.5, 0.5, 0.5))  # of the config.json
    assert [same(found[word], seed) for word, seed in zip(words[:5], (0, 1, 0, 1, 0), strict=True)] == [True] * 5
    assert not (Path(found["hf://org/net"]) / "README.md").exists()
    assert "no weights that repdiag can read" in found["hf://org/none"]
    assert "cannot be fetched" in found["hf://org/gone"]
    hub.asked.clear()
    again = fetch(hub, tmp_path, *words[:3], "hf://private/gone", HF_HUB_OFFLINE="1")
    assert [again[word] for word in words[:3]] == [found[word] for word in words[:3]]
    assert "cannot be fetched" in again["hf://private/gone"]
    assert hub.asked == []


def test_private_repositories_want_the_token(hub: Hub, tmp_path: Path) -> None:
    found = fetch(hub, tmp_path, "hf://private/net")["hf://private/net"]
    assert "cannot be fetched" in found
    assert "HF_TOKEN" in found


def test_a_certificate_that_nobody_trusts_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{hub.address}/org/net/resolve/main/model.safetensors"
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(hub.certificate))
    assert targets.find_checkpoint(address).path.read_bytes() == weights(0)
    monkeypatch.setenv("SSL_CERT_FILE", str(Path(__file__)))
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "other"))
    hub.asked.clear()
    with pytest.raises(CheckpointError, match="CERTIFICATE_VERIFY_FAILED"):
        targets.find_checkpoint(address)
    assert "error: " in fetch(hub, tmp_path, "hf://org/net", SSL_CERT_FILE=str(Path(__file__)))["hf://org/net"]
    assert hub.asked == []


def test_a_file_that_changed_in_the_cache_is_not_read(hub: Hub, tmp_path: Path) -> None:
    word = "hf://org/net/model.safetensors"
    path = Path(fetch(hub, tmp_path, word)[word])
    stored = path.resolve()
    assert stored.name == hashlib.sha256(weights(0)).hexdigest()
    stored.write_bytes(weights(0)[:-1] + b"\1")
    assert "is not the file that the hub has" in fetch(hub, tmp_path, word)[word]


def test_names_of_timm_and_torchvision_lead_to_their_weights(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    hub_folder: Any = __import__("repdiag.checkpoints.sources.hub_folder", fromlist=["fetch_repository"])
    monkeypatch.setattr(hub_folder, "fetch_repository", lambda word: asked.append(word) or tmp_path)
    assert targets.find_checkpoint("timm:resnet18.a1_in1k").path == tmp_path
    assert asked == ["hf://timm/resnet18.a1_in1k"]
    with pytest.raises(Exception, match="unknown timm model"):
        targets.find_checkpoint("timm:resnet18000")

    name = hashlib.sha256(weights(0)).hexdigest()[:8]
    hub.repositories["org/net"]["main"] |= {f"resnet18-{name}.pth": weights(0), "resnet18-abcdef01.pth": weights(0)}
    monkeypatch.setenv("SSL_CERT_FILE", str(hub.certificate))
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path))
    addresses: Any = __import__("repdiag.checkpoints.sources.addresses", fromlist=["_torchvision_url"])
    for digits in (name, "abcdef01"):
        url = f"{hub.address}/org/net/resolve/main/resnet18-{digits}.pth"
        monkeypatch.setattr(addresses, "_torchvision_url", lambda _, url=url: url)
        if digits == name:
            path = targets.find_checkpoint("torchvision:resnet18").path
            assert path.read_bytes() == weights(0)
        else:
            path.unlink()
            with pytest.raises(CheckpointError, match="not the file that was expected"):
                targets.find_checkpoint("torchvision:resnet18")
