"""Structure-aware fuzzing of the checkpoint reader: files that are well formed on the outside and wrong inside.

Pickles are changed opcode by opcode and packed again with valid checksums, so that the reader's own machine sees them;
safetensors headers are changed field by field. By hand, for minutes or hours:

    python -m tests.unit.checkpoints.fuzz --minutes 60

Every input must be read or refused with `CheckpointError`, within five seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import pickletools
import random
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from repdiag.checkpoints.reading.safe_load import read
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints import hostile

SECONDS = 5.0
_NUMBERS = (0, 1, 2, 3, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**12)
_WORDS = ("storage", "cpu", "meta", "FloatStorage", "torch._utils", "_rebuild_tensor_v2", "collections", "OrderedDict",
          "os", "system", "builtins", "eval", "", "0", "archive", "\x00", "é" * 40)  # fmt: skip


class HangError(Exception):
    """The reader took longer than it may."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise `HangError` in the body after so many seconds."""

    def ring(*unused: object) -> None:
        raise HangError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def seeds() -> dict[str, bytes]:
    """Return a genuine file of each kind, small enough that changes meet the structure."""
    tree = {
        "epoch": 1,
        "state_dict": {"w": torch.randn(4, 3), "b": torch.zeros(4), "half": torch.ones(3).half()},
        "args": argparse.Namespace(lr=0.1, names=["a", "b"], nested={"c": (1, 2)}),
        "optimizer": {"state": {0: {"step": torch.tensor(3)}}, "param_groups": [{"params": [0, 1]}]},
    }
    found = {}
    for name, zipped in (("zip", True), ("legacy", False)):
        stream = io.BytesIO()
        torch.save(tree, stream, _use_new_zipfile_serialization=zipped)
        found[name] = stream.getvalue()
    from safetensors.torch import save

    found["safetensors"] = save({"w": torch.randn(4, 3), "b": torch.zeros(4)}, metadata={"format": "pt"})
    return found


def opcodes(program: bytes) -> list[bytes]:
    """Return a pickle cut into its opcodes with their arguments."""
    starts = [place for _, _, place in pickletools.genops(program) if place is not None]
    return [program[one:two] for one, two in zip(starts, [*starts[1:], len(program)], strict=True)]


def changed_program(program: bytes, rng: random.Random) -> bytes:
    """Return the pickle with a few opcodes dropped, doubled, moved, exchanged or given other arguments."""
    parts = opcodes(program)
    for _ in range(rng.randint(1, 6)):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        kind = rng.randrange(7)
        if kind == 0 and len(parts) > 2:
            del parts[at]
        elif kind == 1:
            parts.insert(at, parts[other])
        elif kind == 2:
            parts[at], parts[other] = parts[other], parts[at]
        elif kind == 3:
            parts[at] = _number(rng)
        elif kind == 4:
            parts[at] = _word(rng)
        elif kind == 5:
            parts.insert(at, rng.choice([op.code.encode("latin1") for op in pickletools.opcodes if op.arg is None]))
        else:
            parts[at] = parts[at][:1] + bytes(rng.randrange(256) for _ in parts[at][1:])
    return b"".join(parts)


def _number(rng: random.Random) -> bytes:
    value = rng.choice(_NUMBERS) * rng.choice((1, 1, 1, -1))
    content = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def _word(rng: random.Random) -> bytes:
    content = rng.choice(_WORDS).encode()
    return b"X" + struct.pack("<I", len(content)) + content


def changed_zip(data: bytes, rng: random.Random) -> bytes:
    """Return the archive with another program or other records, and checksums that are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    program = changed_program(records.pop("data.pkl"), rng)
    if rng.random() < 0.3:
        name = rng.choice(sorted(records))
        records[name] = records[name][: rng.randrange(len(records[name]) + 1)] + bytes(rng.randrange(16))
    if rng.random() < 0.1:
        records.pop(rng.choice(sorted(records)))
    return hostile.archive(program, extra=records)


def changed_legacy(data: bytes, rng: random.Random) -> bytes:
    """Return the file with one of its five pickles changed."""
    stream = io.BytesIO(data)
    programs = []
    for _ in range(5):
        start = stream.tell()
        for _ in pickletools.genops(stream):
            pass
        programs.append(data[start : stream.tell()])
    rest = data[stream.tell() :]
    which = rng.choice((1, 2, 3, 3, 3, 4))
    programs[which] = changed_program(programs[which], rng)
    return b"".join(programs) + rest


def changed_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Return the file with a header that says something else, of the length that is written before it."""
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    for _ in range(rng.randint(1, 3)):
        entry = header[rng.choice(sorted(header))]
        entry[rng.choice([*entry, "dtype", "shape", "data_offsets"])] = _json_value(rng)
    if rng.random() < 0.2:
        header[rng.choice(_WORDS)] = _json_value(rng)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) + rng.choice((0, 0, 0, 0, 1, -1))) + text + body


def _json_value(rng: random.Random) -> Any:
    numbers = [rng.choice(_NUMBERS), -1, 1.5, rng.randrange(64)]
    plain = [*numbers, rng.choice(_WORDS), None, True, {}, "F32", "BF16", "F8_E4M3", "I64", "BOOL"]
    return rng.choice([*plain, [rng.choice(numbers) for _ in range(rng.randrange(4))]])


CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "zip": changed_zip, "legacy": changed_legacy, "safetensors": changed_safetensors,
}  # fmt: skip


def outcome(path: Path, content: bytes) -> str:
    """Return "read" or "refused"; any other exception, and a hang, passes."""
    path.write_bytes(content)
    with bounded(SECONDS):
        try:
            read(path)
        except CheckpointError:
            return "refused"
    return "read"


def main() -> int:
    """Fuzz for so many minutes, print the count, and return 1 where an input did what it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    end, counts, number = time.monotonic() + 60 * options.minutes, Counter[str](), 0
    files = seeds()
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            kind = list(CHANGES)[number % len(CHANGES)]
            content = CHANGES[kind](files[kind], random.Random(f"{options.seed}-{number}"))
            try:
                counts[f"{kind} {outcome(Path(folder) / 'file', content)}"] += 1
            except Exception:
                counts[f"{kind} FAILED"] += 1
                print(f"{kind}, seed {options.seed}, number {number}\n{traceback.format_exc()}", flush=True)
            number += 1
    print(f"{number} inputs: {dict(sorted(counts.items()))}")
    return int(any(name.endswith("FAILED") for name in counts))


if __name__ == "__main__":
    sys.exit(main())
