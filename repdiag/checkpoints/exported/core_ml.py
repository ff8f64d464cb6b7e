"""A Core ML model as data: what it takes and gives. macOS alone runs it, so that nothing here does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from repdiag.checkpoints.exported.ports import Port
from repdiag.core.errors import CheckpointError

_INSIDE = Path("Data/com.apple.CoreML/model.mlmodel")
# Numbers of fields in Apple's published format: of the model, its description, a feature, its type.
_VERSION, _DESCRIPTION, _INPUT, _OUTPUT, _NAME, _TYPE, _IMAGE, _ARRAY = 1, 2, 1, 10, 1, 3, 4, 5
_COLOURS = {10: "greyscale", 20: "RGB", 30: "BGR"}
_NUMBERS = {65552: "float16", 65568: "float32", 65600: "float64", 131104: "int32"}
_MOST = 1 << 20  # bytes of a description; those of networks have some thousands
Fields = list[tuple[int, int | bytes]]


def is_core_ml(path: Path) -> bool:
    """Say whether a path names a Core ML model: a file, or the folder that Apple calls a package."""
    return (path.suffix == ".mlmodel" and path.is_file()) or (path.suffix == ".mlpackage" and path.is_dir())


def core_ml_ports(path: Path) -> tuple[int, tuple[Port, ...], tuple[Port, ...]]:
    """Return the version of the format, the inputs and the outputs; raises `CheckpointError` where none are there."""
    file = path / _INSIDE if path.is_dir() else path
    with file.open("rb") as stream:
        model = dict(_fields(stream.read(_MOST), cut=True))
    version, description = model.get(_VERSION), model.get(_DESCRIPTION)
    if not isinstance(version, int) or not isinstance(description, bytes):
        raise CheckpointError(f"{path} is no whole Core ML model", found="it does not describe what it takes and gives")
    features = _fields(description)
    inputs, outputs = (
        tuple(_port(held) for number, held in features if number == wanted and isinstance(held, bytes))
        for wanted in (_INPUT, _OUTPUT)
    )
    return version, inputs, outputs


def _port(held: bytes) -> Port:
    feature = dict(_fields(held))
    kind = dict(_fields(_part(feature.get(_TYPE))))
    name = _part(feature.get(_NAME)).decode("utf-8", errors="replace")
    if _IMAGE in kind:
        image = dict(_fields(_part(kind[_IMAGE])))
        width, height = (int(image.get(number) or 0) for number in (1, 2))
        colours = _COLOURS.get(int(image.get(3) or 0), "unknown colours")
        return Port(name=name, dtype=f"image, {colours},", dims=(f"{width} wide", f"{height} high"))
    if _ARRAY in kind:
        array = _fields(_part(kind[_ARRAY]))
        dtype = _NUMBERS.get(next((int(value) for number, value in array if number == 2), 0), "unknown")
        return Port(name=name, dtype=dtype, dims=tuple(_sizes(array)))
    return Port(name=name, dtype="neither image nor array", dims=())


def _sizes(array: Fields) -> Iterator[int]:
    for number, value in array:
        if number == 1 and isinstance(value, int):
            yield value
        elif number == 1 and isinstance(value, bytes):  # several, packed
            place = 0
            while place < len(value):
                size, place = _whole(value, place)
                yield size


def _part(held: int | bytes | None) -> bytes:
    return held if isinstance(held, bytes) else b""


def _fields(held: bytes, *, cut: bool = False) -> Fields:
    """Return the fields of a message of protocol buffers by number; of a `cut` one, those that are whole."""
    found: Fields = []
    place = 0
    while place < len(held):
        try:
            tag, place = _whole(held, place)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, place = _whole(held, place)
                found.append((number, value))
                continue
            length, place = _whole(held, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
            if place + length > len(held):
                raise IndexError
        except (IndexError, KeyError) as error:
            if cut:
                break
            raise CheckpointError("the description of the Core ML model is damaged", found=repr(error)) from error
        found.append((number, held[place : place + length]))
        place += length
    return found


def _whole(held: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = held[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place
        if shift > 63:
            raise IndexError(place)
