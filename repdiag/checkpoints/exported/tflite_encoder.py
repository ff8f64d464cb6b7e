"""A .tflite file as an encoder, run by LiteRT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.assembled import Runner, assembled, refuse_other_options
from repdiag.checkpoints.exported.ports import chosen_output, image_input
from repdiag.checkpoints.exported.tflite_file import read_tflite
from repdiag.checkpoints.exported.tflite_module import TfliteModule
from repdiag.checkpoints.read_options import ReadOptions


def tflite_encoder(path: Path, read_options: ReadOptions, *, name: str, partner: EncoderInfo | None = None) -> Encoder:
    """Return the encoder that runs a file through LiteRT, fed as `onnx_encoder` feeds a graph.

    Inputs and outputs of whole numbers are quantised and turned back by the file's own scales and zero points. Where
    the bytes of an input stand for [0, 1], [-1, 1] or [0, 255], pixels are given as they are.
    """
    refuse_other_options(read_options)
    file = read_tflite(path)
    asked = read_options.output
    if asked in file.places and asked not in file.tensors:  # a signature's name
        by_place = {place: own for own, place in reversed(file.places.items())}
        read_options = replace(read_options, output=by_place[file.places[asked]])
    output = chosen_output(file, read_options.output)
    module = TfliteModule(file, image_input(file), output, pool=read_options.pool)
    runner = Runner(family="tflite", backbone="TensorFlow Lite graph", by=f"{module.runtime}, CPU")
    return assembled(file, module, runner, read_options=read_options, name=name, partner=partner)
