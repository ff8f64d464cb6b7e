"""A file of any exporter that is read here, as an encoder: by its suffix or its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.onnx_encoder import onnx_encoder
from repdiag.checkpoints.exported.onnx_graph import read_onnx
from repdiag.checkpoints.exported.program_encoder import program_encoder
from repdiag.checkpoints.exported.program_file import MARK as PROGRAM
from repdiag.checkpoints.exported.program_file import read_program
from repdiag.checkpoints.exported.tflite_encoder import tflite_encoder
from repdiag.checkpoints.exported.tflite_file import MARK as TFLITE
from repdiag.checkpoints.exported.tflite_file import read_tflite
from repdiag.checkpoints.read_options import ReadOptions

_ENCODERS = {".onnx": onnx_encoder, ".tflite": tflite_encoder, ".pte": program_encoder}
_READERS = {".onnx": read_onnx, ".tflite": read_tflite, ".pte": read_program}
SUFFIXES = tuple(_ENCODERS)
FAMILIES = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
"""What `EncoderInfo.family` is for these files."""


def is_exported(path: Path) -> bool:
    """Say whether a path names a file that a runtime runs."""
    return path.is_file() and _kind(path) is not None


def exported_encoder(
    path: Path, read_options: ReadOptions, *, name: str, partner: EncoderInfo | None = None
) -> Encoder:
    """Return the encoder that the file's own runtime runs; see `onnx_encoder` and `tflite_encoder`."""
    return _ENCODERS[_kind(path) or ".onnx"](path, read_options, name=name, partner=partner)


def read_exported(path: Path) -> Any:
    """Return what the file says of itself, without a run of it."""
    return _READERS[_kind(path) or ".onnx"](path)


def _kind(path: Path) -> str | None:
    if path.suffix.lower() in _ENCODERS:
        return path.suffix.lower()
    with path.open("rb") as file:
        mark = file.read(8)[4:]
    return {TFLITE: ".tflite", PROGRAM: ".pte"}.get(mark)
