"""Reading gives what `torch.load` gives, knows damage, and says what it left as a placeholder."""

from __future__ import annotations

import argparse
import io
import os
import random
import subprocess
import sys
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from repdiag.checkpoints.reading import safe_load
from repdiag.checkpoints.reading.file_blocks import forget_pages
from repdiag.checkpoints.reading.restricted_unpickler import RestrictedUnpickler
from repdiag.checkpoints.reading.safe_load import read
from repdiag.checkpoints.reading.stand_ins import Placeholder, setting
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints import fuzz
from tests.unit.checkpoints.hostile import archive


class Foreign:
    """A class that no reader may import."""

    def __init__(self) -> None:
        self.rate = 0.1
        self.weights = torch.arange(3.0)


def state() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(6, 8, generator=generator)
    return {
        "matrix": whole,
        "transposed": whole.t(),
        "slice": whole[1:3, 2:5],
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 4),
        "parameter": nn.Parameter(torch.randn(3, generator=generator)),
        **{str(kind): torch.ones(5).to(kind) for kind in (torch.float16, torch.bfloat16, torch.float64, torch.uint8,
                                                          torch.bool, torch.int32, torch.complex64)},
    }  # fmt: skip


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, torch.Tensor):
        return found.dtype == wanted.dtype and torch.equal(found, wanted)
    if isinstance(wanted, dict):
        return list(found) == list(wanted) and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return bool(found == wanted)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "with foreign objects"])
def test_the_tensors_are_those_of_torch(tmp_path: Path, zipped: bool, plain: bool) -> None:
    tree: dict[str, Any] = {"epoch": 3, "state_dict": OrderedDict(state()), "list": [1, 2.5, "x", None, (True, b"y")]}
    extra = {} if plain else {"args": argparse.Namespace(arch="resnet18", lr=np.float64(0.5))}
    path = tmp_path / "file.pth.tar"
    torch.save(tree | extra, path, _use_new_zipfile_serialization=zipped)
    payload = read(path)
    assert payload.container == ("zip" if zipped else "legacy")
    assert bool(payload.foreign) != plain
    assert same({key: payload.tree[key] for key in tree}, tree)
    if not plain:
        assert payload.tree["args"].name == "argparse.Namespace"
        assert setting(payload.tree, "args", "arch") == "resnet18"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_of_torch_is_read(tmp_path: Path, protocol: int) -> None:
    torch.save({"model": state(), "args": argparse.Namespace(x=1)}, tmp_path / "x.pt", pickle_protocol=protocol)
    assert same(read(tmp_path / "x.pt").tree["model"], state())


def test_a_foreign_object_is_named_and_kept_inert(tmp_path: Path) -> None:
    torch.save({"model": state(), "object": Foreign()}, tmp_path / "x.pt")
    payload = read(tmp_path / "x.pt")
    found = payload.tree["object"]
    assert isinstance(found, Placeholder)
    assert found.name.endswith(".Foreign")
    assert payload.foreign == (found.name,)
    assert torch.equal(found.fields["weights"], torch.arange(3.0))


def test_pickled_modules_are_placeholders_with_their_tensors(tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "model": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))}, tmp_path / "x.pt")
    payload = read(tmp_path / "x.pt")
    assert "torch.nn.modules.linear.Linear" in payload.foreign
    assert same(payload.tree["state_dict"], state())


def test_a_zip_file_without_checksums_is_read_and_said_to_be_unproven(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state(), tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert read(tmp_path / "x.pt").integrity == "unknown"


def test_every_flipped_bit_of_a_record_is_found(tmp_path: Path) -> None:
    torch.save({"weight": torch.randn(50, 50)}, tmp_path / "x.pt")
    data = (tmp_path / "x.pt").read_bytes()
    start = data.index(b"archive/data/0") if b"archive/data/0" in data else data.index(b"x/data/0")
    rng = random.Random(0)
    path = tmp_path / "flipped.pt"
    for _ in range(300):
        at = rng.randrange(start + 64, start + 64 + 9000)
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
        with pytest.raises(CheckpointError):
            read(path)


def small_files(tmp_path: Path) -> dict[str, bytes]:
    tree = {"epoch": 1, "state_dict": {"w": torch.randn(4, 3), "b": torch.zeros(4)}, "args": argparse.Namespace(a=[1])}
    found = {}
    for name, zipped in (("zip", True), ("legacy", False)):
        stream = io.BytesIO()
        torch.save(tree, stream, _use_new_zipfile_serialization=zipped)
        found[name] = stream.getvalue()
    save_file(tree["state_dict"], tmp_path / "x.safetensors")
    found["safetensors"] = (tmp_path / "x.safetensors").read_bytes()
    found["program"] = archive(b"\x80\x02}X\x01\x00\x00\x00ack\x00\x01.")
    return found


def test_a_backslash_that_escapes_nothing_brings_no_warning_about() -> None:
    assert RestrictedUnpickler(io.BytesIO(b"S'a\\>b'\n.")).load() == "a\\>b"  # a warning would be an error here


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "program"])
def test_mutants_give_one_kind_of_error(tmp_path: Path, kind: str) -> None:
    data = small_files(tmp_path)[kind]
    rng = random.Random(kind)
    path = tmp_path / "mutant"
    refused = 0
    for _ in range(400):
        mutant = bytearray(data[: rng.randrange(1, len(data))] if rng.random() < 0.2 else data)
        for _ in range(rng.randint(1, 16)):
            mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            at = rng.randrange(len(mutant))
            mutant[at:at] = mutant[rng.randrange(len(mutant)) :][: rng.randrange(64)]
        path.write_bytes(bytes(mutant))
        try:
            read(path)
        except CheckpointError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("kind", fuzz.CHANGES)
def test_well_formed_nonsense_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    data = fuzz.seeds()[kind]
    found = [fuzz.outcome(tmp_path / "file", fuzz.CHANGES[kind](data, random.Random(number))) for number in range(300)]
    assert 100 < found.count("refused") < 300


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"\x1f\x8b\x08", "gzip"), (b"<html>", "web page"), (b"\x89HDF\r\n", "HDF5"), (b"hello", "bytes"),
     (b"7z\xbc\xaf\x27\x1c", "7z"), (b"\x93NUMPY\x01", "numpy"), (b"version https://git-lfs", "git LFS"),
     (b"model".ljust(257, b"\0") + b"ustar\x0000", "tar archive")],
)  # fmt: skip
def test_other_files_are_refused_with_what_they_are(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=word):
        read(tmp_path / "x.pt")


def test_folders_are_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weights"):
        read(tmp_path)
    (tmp_path / ".metadata").write_bytes(b"\x80\x02}.")
    with pytest.raises(CheckpointError, match="distributed"):
        read(tmp_path)
    with pytest.raises(CheckpointError, match="no file"):
        read(tmp_path / "absent.pt")


def test_a_folder_of_shards_without_an_index_is_refused(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="shards") as caught:
        read(tmp_path)
    assert "2 files" in caught.value.found
    assert "index" in caught.value.hint


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates what many files are still made with
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "x.pt"))
    with pytest.raises(CheckpointError, match="TorchScript"):
        read(tmp_path / "x.pt")


def test_torch_reads_no_file_of_a_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "plain.pt")
    monkeypatch.setattr(torch, "load", lambda *unused, **options: pytest.fail("torch.load was called"))
    assert torch.equal(read(tmp_path / "plain.pt").tree["a"], torch.ones(2))


def test_a_safetensors_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    entry = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = b"{" + entry + b"," + entry + b"}"
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    with pytest.raises(CheckpointError, match="header") as caught:
        read(tmp_path / "x.safetensors")
    assert "twice" in str(caught.value.found)


@pytest.mark.parametrize("cut", [0, 40, 400])
def test_a_file_that_changes_while_it_is_read_is_refused(
    cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.pt"
    torch.save({"w": torch.randn(64, 64)}, path)
    real = safe_load.check_archive

    def checked(file: Path) -> Any:
        found = real(file)
        os.truncate(file, cut)
        return found

    monkeypatch.setattr(safe_load, "check_archive", checked)
    with pytest.raises(CheckpointError, match="changed while"):
        read(path)


def test_what_the_system_refuses_is_a_checkpoint_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "x.pt")

    def denied(*arguments: object, **options: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(safe_load, "check_archive", denied)
    with pytest.raises(CheckpointError, match="Permission denied"):
        read(tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read(tmp_path / ("x" * 5000))


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_mapped_file_gives_the_same_and_its_pages_can_be_given_back(kind: str, tmp_path: Path) -> None:
    tensors = {name: value.contiguous() for name, value in sorted(state().items())}  # safetensors sorts them
    tensors = {name: value for name, value in tensors.items() if name not in ("transposed", "slice")}
    path = tmp_path / "x"
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "zip")
    copied, mapped = read(path), read(path, mapped=True)
    assert same(mapped.tree, tensors)
    assert same(copied.tree, tensors)
    for value in mapped.tree.values():
        forget_pages(value)
    assert same(mapped.tree, tensors)
    path.write_bytes(b"")  # a map of it could not be looked at any more
    assert same(copied.tree, tensors)


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_a_path_that_is_not_utf_8_is_read(kind: str, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    folder.mkdir()
    tensors = {"a": torch.ones(2)}
    save_file(tensors, tmp_path / "x") if kind == "safetensors" else torch.save(tensors, tmp_path / "x")
    path = (tmp_path / "x").rename(folder / f"x.{kind}")
    assert torch.equal(read(path).tree["a"], torch.ones(2))
    with pytest.raises(CheckpointError) as caught:
        read(folder / "absent")
    assert "\\udcff" in str(caught.value)
    str(caught.value).encode()


def test_names_are_shown_without_what_acts_on_a_terminal(tmp_path: Path) -> None:
    torch.save({"\x1b]0;x\x07a\nb": torch.ones(1), "n": 1}, tmp_path / "x.pt")
    save_file({"\x1b]0;x\x07a\nb": torch.ones(1)}, tmp_path / "x.safetensors")
    assert list(read(tmp_path / "x.pt").tree) == ["\\x1b]0;x\\x07a\\nb", "n"]
    assert list(read(tmp_path / "x.safetensors").tree) == ["\\x1b]0;x\\x07a\\nb"]
    torch.save({"\x1b": torch.ones(1), "\\x1b": torch.ones(1)}, tmp_path / "twice.pt")
    with pytest.raises(CheckpointError, match="differ only"):
        read(tmp_path / "twice.pt")


def test_the_peak_of_memory_while_filling_is_the_network_alone(tmp_path: Path) -> None:
    wide = nn.Linear(4096, 8192, bias=False)  # 128 MiB: what threads keep for themselves is small beside it
    torch.save(wide.state_dict(), tmp_path / "x.pt")
    script = (
        "import sys, torch\nfrom torch import nn\nfrom pathlib import Path\n"
        "from repdiag.checkpoints.fitting.match import fill, weights_in_file\n"
        "from repdiag.checkpoints.fitting.unfilled import build_unfilled\n"
        "from repdiag.checkpoints.reading.safe_load import read\n"
        "def resident():\n    Path('/proc/self/clear_refs').write_text('5')\n    return status('VmRSS')\n"
        "def status(key):\n    return next(int(line.split()[1]) for line in open('/proc/self/status') if key in line)\n"
        "network = build_unfilled(lambda: nn.Linear(4096, 8192, bias=False))\n"
        "torch.isfinite(torch.ones(9)).all()\n"
        "before = resident()\npayload = read(sys.argv[1], mapped=True)\n"
        "with weights_in_file():\n    fill(network, payload.tree)\n"
        "looked = status('VmHWM') - before\nbefore = resident()\nfill(network, payload.tree)\n"
        "print(looked, status('VmHWM') - before)\n"
    )
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("peak memory is counted by Linux only")
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x.pt")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    looked, filled = map(int, done.stdout.split())
    assert looked < 1.2 * 131072
    assert filled < 2.2 * 131072  # one tensor: its pages and its copy
