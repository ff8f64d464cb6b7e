"""An encoder as an .onnx file that says how it is fed: by torch's exporter and onnxruntime's quantiser."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.onnx_encoder import METADATA
from repdiag.checkpoints.exported.onnx_graph import needed_package, read_onnx
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.core.files import write_atomic
from repdiag.core.printable import one_line

Numbers = Literal["float32", "float16", "int8", "int8 per tensor"]
INPUT, OUTPUT = "images", "features"
_OPSET = 17  # what phones' runtimes take
_BATCH = 20  # images in one step of the calibration


class _Backbone(nn.Module):
    """The features alone: what an exporter can follow."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.backbone = encoder.backbone

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(images)
        return features


def export_onnx(encoder: Encoder, out: Path, *, numbers: Numbers = "float32", images: Tensor | None = None) -> None:
    """Write the backbone of an encoder as a graph: images [B, 3, S, S] -> features [B, D], any B.

    `numbers` are those of the weights: "int8" quantises weights and activations (static, symmetric weights per output
    channel, or "per tensor"), whose ranges are taken from the normalised `images` [N, 3, S, S]; "float16" halves the
    weights, and keeps inputs and outputs in float32. The metadata of the file say how it is fed and the sha256 of the
    source. Raises `CheckpointError` where the network cannot be exported.
    """
    onnx = needed_package()
    with tempfile.TemporaryDirectory(prefix="repdiag-onnx-") as kept:
        plain = Path(kept) / "plain.onnx"
        _export(encoder, plain)
        if numbers == "float16":
            model = _halved(onnx.load(str(plain)))
        elif numbers == "float32":
            model = onnx.load(str(plain))
        else:
            assert images is not None
            model = onnx.load(str(_quantised(plain, images, per_channel=numbers == "int8")))
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA, value=json.dumps(_metadata(encoder.info, numbers)))
    write_atomic(out, lambda stream: stream.write(model.SerializeToString()))


def check_graph_target(path: Path, *, overwrite: bool) -> None:
    """Raise `UsageError` unless a graph may be written to `path`: only one that we wrote is replaced."""
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite and path.is_file():
        raise UsageError(f"{path} exists", hint="--overwrite replaces it, if repdiag wrote it")
    try:
        ours = path.is_file() and METADATA in read_onnx(path).metadata
    except CheckpointError:
        ours = False
    if not ours:
        raise UsageError(f"{path} is not a file that repdiag wrote", hint="choose another name")


def _metadata(info: EncoderInfo, numbers: Numbers) -> dict[str, Any]:
    fed = ("mean", "std", "image_size", "resize", "squash", "interpolation", "bgr", "layer", "backbone")
    return {name: getattr(info, name) for name in fed} | {"source_sha256": info.sha256, "numbers": numbers}


def _export(encoder: Encoder, out: Path) -> None:
    size = encoder.info.image_size
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # the exporter announces its replacement, which writes other operators
        try:
            torch.onnx.export(
                _Backbone(encoder).eval(),
                (images,),
                str(out),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
                opset_version=_OPSET,
                dynamo=False,
            )
        except Exception as error:  # whatever an exporter meets in a network
            raise CheckpointError(
                f"torch's exporter cannot follow {encoder.info.backbone}",
                found=f"{type(error).__name__}: {one_line(str(error), 200)}",
            ) from error


def _halved(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers that float16 rounds to its smallest
        return convert_float_to_float16(model, keep_io_types=True)


def _quantised(plain: Path, images: Tensor, *, per_channel: bool) -> Path:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready, out = plain.with_name("ready.onnx"), plain.with_name("int8.onnx")
    with _quiet():
        quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(out),
            _Images(images),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=per_channel,
        )
    return out


class _Images:
    """What the quantiser reads its ranges from: batches under the name of the graph's input."""

    def __init__(self, images: Tensor) -> None:
        self._parts = iter([{INPUT: part.numpy()} for part in torch.split(images, _BATCH)])

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch, None after the last."""
        return next(self._parts, None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._parts

    def __next__(self) -> dict[str, Any]:
        return next(self._parts)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter and the quantiser from writing their advice to others' logs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
