"""The manifest: lines in errors, paths relative to it, nothing wrong accepted as the file that was meant."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from repdiag.checkpoints.sources.addresses import url_of
from repdiag.checkpoints.sources.manifest import Entry, read_manifest
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


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("checkpoints:\n  - id: a\n? [a]\n: b\n", 3, "word"),
        ("checkpoints:\n  - ? {a: 1}\n    : b\n", 2, "word"),
        ("checkpoints:\n  - id: a\n    epochs: " + "9" * 5000, 2, "cannot be read"),
        ("checkpoints:\n  - id: a\n    epochs: 0x" + "f" * 9000, 3, "epochs"),
        ("checkpoints:\n  - id: a\n    size: 2020-99-99\n", 2, "cannot be read"),
        ("checkpoints:\n  - <<: 5\n", 2, "word"),
        ('checkpoints:\n  - id: a\n    source: "a\\0b"\n', 3, "control"),
        ('checkpoints:\n  - id: a\n    notes: "\\e[2J"\n', 3, "control"),
    ],
)
def test_values_that_python_stumbles_over_are_errors_with_their_line(
    tmp_path: Path, text: str, line: int, word: str
) -> None:
    with pytest.raises(ConfigError, match=rf"line {line}\b.*{word}") as caught:
        read_manifest(manifest(tmp_path, text))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "source", ["~nobody-has-this-name/x", "https://[::1/x", "x" * 5000, "a\0b", "\ud800", "https://"]
)
def test_an_address_that_is_none_is_not_here(source: str) -> None:
    entry = Entry.model_validate({"id": "a", "source": source})
    assert not entry.is_present()
    assert entry.how_to_get()
    with pytest.raises(CheckpointError):
        entry.fetch()


def test_a_manifest_of_tens_of_thousands_of_entries_takes_time_by_their_number(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        path = manifest(tmp_path, "checkpoints:\n" + "".join(f"  - id: a{index}\n" for index in range(count)))
        started = time.process_time()
        assert len(read_manifest(path).entries) == count
        return time.process_time() - started

    assert seconds(20_000) < 4 * seconds(10_000) + 0.5  # twice, if it is linear; the quadratic one took 25 s for 60,000
