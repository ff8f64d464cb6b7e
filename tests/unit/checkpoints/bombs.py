"""Writes checkpoints that are cheap to send and would be dear to read."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator

from tests.unit.checkpoints.hostile import archive, legacy

_UNREAD = (
    "_rebuild_qtensor",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_sparse_tensor",
    "_rebuild_nested_tensor",
    "_rebuild_wrapper_subclass",
    "_rebuild_device_tensor_from_numpy",
)
_STORAGES = ("Float", "Double", "Half", "Long", "Int", "Byte")


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _int(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def tensor(
    size: tuple[int, ...], stride: tuple[int, ...], *, numel: int, storage: str = "Float", offset: int = 0,
    location: str = "cpu", rebuild: str = "torch._utils\n_rebuild_tensor_v2",
) -> bytes:  # fmt: skip
    """Return the operations that declare one tensor over storage "0"."""
    persistent = b"(" + _text("storage") + f"ctorch\n{storage}Storage\n".encode() + _text("0") + _text(location)
    persistent += _int(numel) + b"tQ"
    counts = [b"(" + b"".join(_int(value) for value in values) + b"t" for values in (size, stride)]
    named = f"c{rebuild}\n".encode()
    return named + b"(" + persistent + _int(offset) + counts[0] + counts[1] + b"\x89ccollections\nOrderedDict\n)RtR"


def _state(program: bytes) -> bytes:
    return b"\x80\x02}" + _text("w") + program + b"s."


def _tensors() -> Iterator[tuple[str, bytes]]:
    for power in (6, 9, 12, 15, 18):
        for storage in _STORAGES:
            width = {"Float": 4, "Double": 8, "Half": 2, "Long": 8, "Int": 4, "Byte": 1}[storage]
            program = tensor((10**power,), (0,), numel=1, storage=storage)
            yield f"stride-0-{storage}-{power}.pt", archive(_state(program), extra={"data/0": bytes(width)})
    for power in (9, 12, 18):
        size = (10 ** (power // 3),) * 3
        yield f"stride-0-cube-{power}.pt", _with_storage(tensor(size, (0, 0, 0), numel=1), 4)
        yield f"overlapping-{power}.pt", _with_storage(tensor((10 ** (power // 3), 64), (0, 1), numel=64), 256)
        yield f"meta-{power}.pt", _with_storage(tensor((10**power,), (1,), numel=10**power, location="meta"), 0)
        yield f"claims-{power}.pt", _with_storage(tensor((10**power,), (1,), numel=10**power), 4)
    yield "past-the-end.pt", _with_storage(tensor((4,), (1,), numel=4, offset=1), 16)
    yield "far-offset.pt", _with_storage(tensor((1,), (1,), numel=4, offset=2**60), 16)
    yield "far-stride.pt", _with_storage(tensor((2,), (2**62,), numel=4), 16)
    yield "overflowing-size.pt", _with_storage(tensor((2**33, 2**33), (1, 1), numel=4), 16)
    yield "negative-size.pt", _with_storage(tensor((-1,), (1,), numel=4), 16)
    yield "negative-stride.pt", _with_storage(tensor((4,), (-1,), numel=4), 16)
    yield "no-storage.pt", archive(_state(tensor((4,), (1,), numel=4)))
    for name in _UNREAD:
        yield f"{name}.pt", _with_storage(tensor((4,), (1,), numel=4, rebuild=f"torch._utils\n{name}"), 16)
    for storage in ("QInt8", "QUInt8", "QInt32", "QUInt4x2"):
        yield f"quantised-{storage}.pt", _with_storage(tensor((4,), (1,), numel=4, storage=storage), 16)


def _with_storage(program: bytes, size: int) -> bytes:
    return archive(_state(program), extra={"data/0": bytes(size)})


def _graphs() -> Iterator[tuple[str, bytes]]:
    for depth in (20, 30, 60, 200):
        for opening, closing, name in ((b")", b"\x86", "pair"), (b"]", b"\x86\x85", "single")):
            doubled = b"\x80\x02" + opening + b"".join(b"2" + closing for _ in range(depth)) + b"."
            yield f"doubling-{name}-{depth}.pt", archive(doubled)
    for depth in (100, 1000, 10_000, 100_000, 400_000):
        yield f"deep-list-{depth}.pt", archive(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".")
        yield f"deep-tuple-{depth}.pt", archive(b"\x80\x02)" + b"\x85" * depth + b".")
        yield f"deep-dict-{depth}.pt", archive(b"\x80\x02" + b"}K\x01" * depth + b"N" + b"s" * depth + b".")
        yield f"deep-list-{depth}.pth", legacy(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".")
        yield f"deep-marks-{depth}.pt", archive(b"\x80\x02" + b"(" * depth + b".")
    yield "contains-itself.pt", archive(b"\x80\x02]q\x00h\x00a.")
    yield "contains-itself-in-dict.pt", archive(b"\x80\x02}q\x00K\x01h\x00s.")
    for count in (1_000_001, 3_000_000):
        yield f"many-values-{count}.pt", archive(b"\x80\x02](" + b"N" * count + b"e.")
        yield (
            f"legal-many-calls-{count}.pt",
            archive(b"\x80\x02" + b"ccollections\nOrderedDict\n0" * (count // 4) + b"N."),
        )
        yield f"many-pops-{count}.pt", archive(b"\x80\x02" + b"N0" * count + b"N.")
        yield f"many-memos-{count}.pt", archive(b"\x80\x04N" + b"\x94" * count + b".")
    for size in (2**31 - 1, 2**32 - 1):
        for code in (b"X", b"T", b"B"):
            yield f"long-text-{code.decode()}-{size}.pt", archive(b"\x80\x03" + code + struct.pack("<I", size) + b"a.")
    for size in (2**32, 2**40, 2**62):
        for code in (b"\x8d", b"\x8e", b"\x96"):
            yield f"huge-text-{code.hex()}-{size}.pt", archive(b"\x80\x05" + code + struct.pack("<Q", size) + b"a.")
    yield "long-number.pt", archive(b"L" + b"9" * 2_000_000 + b"L\n.")
    yield "long-number-binary.pt", archive(b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"a.")
    yield "negative-length.pt", archive(b"\x80\x02\x8b" + struct.pack("<i", -5) + b"a.")
    for size in (10**8, 4 * 10**9, 10**11):
        made = b"cbuiltins\nbytearray\n" + _int(size) + b"\x85R"
        yield f"legal-bytearray-{size}.pt", archive(b"\x80\x02" + made + b".")
    keys = b"".join(b"\x8a\x0a" + (index * (2**61 - 1)).to_bytes(10, "little") + b"N" for index in range(100_000))
    yield "legal-colliding-keys.pt", archive(b"\x80\x02}(" + keys + b"u.")


def _archives() -> Iterator[tuple[str, bytes]]:
    for size in (2**20, 2**26, 2**28):
        yield f"deflate-bomb-{size}.pt", archive(b"\x80\x02}.", extra={"data/0": bytes(size)}, compress=True)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02}.")
        for index in range(100_500):
            file.writestr(f"archive/data/{index}", b"")
    yield "many-entries.pt", stream.getvalue()
    good = archive(b"\x80\x02}.")
    end = good.rindex(b"PK\x05\x06")
    for field, width in ((8, 2), (10, 2), (12, 4), (16, 4)):
        broken = good[: end + field] + b"\xff" * width + good[end + field + width :]
        yield f"end-record-{field}.pt", broken
    for cut in range(1, 20):
        yield f"cut-{cut}.pt", good[: -cut * 7]


def _safetensors() -> Iterator[tuple[str, bytes]]:
    def file(header: object, body: bytes = b"", *, length: int | None = None) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text) if length is None else length) + text + body

    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    yield "huge-shape.safetensors", file({"w": one | {"shape": [10**18]}}, bytes(4))
    yield "overflowing-shape.safetensors", file({"w": one | {"shape": [2**62, 2**62]}}, bytes(4))
    yield "huge-offsets.safetensors", file({"w": one | {"data_offsets": [0, 2**60]}}, bytes(4))
    yield "overlap.safetensors", file({"a": one, "b": one}, bytes(4))
    yield "hole.safetensors", file({"w": one | {"data_offsets": [4, 8]}}, bytes(8))
    yield "negative.safetensors", file({"w": one | {"shape": [-1]}}, bytes(4))
    yield "unknown-type.safetensors", file({"w": one | {"dtype": "F31"}}, bytes(4))
    yield "not-json.safetensors", file(b"{" * 100)
    yield "deep-json.safetensors", file(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield "header-too-long.safetensors", file({"w": one}, bytes(4), length=2**40)
    yield "trailing.safetensors", file({"w": one}, bytes(40))
    many = {f"w{index}": one | {"shape": [0], "data_offsets": [0, 0]} for index in range(150_000)}
    yield "many-tensors.safetensors", file(many)


def files() -> Iterator[tuple[str, bytes]]:
    """Yield every bomb; those whose names begin with "legal-" may be read, as long as nothing is spent on them."""
    yield from _tensors()
    yield from _graphs()
    yield from _archives()
    yield from _safetensors()
