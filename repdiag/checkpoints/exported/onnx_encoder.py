"""An .onnx file as an encoder, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.assembled import Runner, assembled, refuse_other_options
from repdiag.checkpoints.exported.feeding import METADATA
from repdiag.checkpoints.exported.onnx_graph import read_onnx
from repdiag.checkpoints.exported.onnx_module import PROVIDER, OnnxModule
from repdiag.checkpoints.exported.ports import chosen_output, image_input
from repdiag.checkpoints.read_options import ReadOptions

__all__ = ["METADATA", "onnx_encoder"]


def onnx_encoder(path: Path, read_options: ReadOptions, *, name: str, partner: EncoderInfo | None = None) -> Encoder:
    """Return the encoder that runs a graph through onnxruntime.

    Input name, layout, type, size and batch are the graph's. Normalisation and framing are those told, else recorded in
    the graph's metadata or in preprocessor_config.json beside it, else those of the `partner`, else assumed.
    """
    refuse_other_options(read_options)
    graph = read_onnx(path)
    image, output = image_input(graph), chosen_output(graph, read_options.output)
    module = OnnxModule(graph, image, output, pool=read_options.pool)
    runner = Runner(family="onnx", backbone=f"ONNX graph of {graph.producer}", by=f"{module.runtime}, {PROVIDER}")
    return assembled(graph, module, runner, read_options=read_options, name=name, partner=partner)
