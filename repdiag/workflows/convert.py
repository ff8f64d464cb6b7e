"""`convert` to ONNX: written, and held against its source on the same images before it is called done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from repdiag.core.errors import CheckpointError, UsageError
from repdiag.workflows.options import AnalysisOptions

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.checkpoints.exported.onnx_export import Numbers
    from repdiag.data.image_split import ImageSplit
    from repdiag.workflows.drift_result import Drift

CALIBRATION = 256
"""Images that the quantiser takes its ranges from."""
CLOSE = 1e-4
"""Largest difference from torch, over the largest number of the features, at which a float32 graph is the same."""


def convert_to_onnx(
    source: Any, out: Path, options: AnalysisOptions, *, numbers: Numbers = "float32", counting: Any = None
) -> tuple[Encoder, Drift | None, float]:
    """Write the encoder of a checkpoint as a graph, read it back and hold it against the checkpoint.

    Images of `options.data` give the quantiser its ranges (those of train, where there are some) and the drift between
    the two (val); without them float32 graphs are compared on noise. Return the encoder that was read back, the drift
    and the largest difference of the features over their largest number. Raises `CheckpointError` where a float32 graph
    gives something else than torch; the file is then removed.
    """
    from repdiag.checkpoints.exported.onnx_encoder import onnx_encoder
    from repdiag.checkpoints.exported.onnx_export import export_onnx
    from repdiag.checkpoints.read_options import ReadOptions
    from repdiag.workflows.analyze import load_source
    from repdiag.workflows.drift import PER_CLASS, drift_of_sets, read_pair

    encoder, _ = load_source(source, options)
    spec = options.data or encoder.info.training.get("data")
    if numbers.startswith("int8") and spec is None:
        raise UsageError(
            "--int8 needs images to set its ranges", hint="choose images with --calibrate, such as imagefolder:PATH"
        )
    options = replace(
        options, data=None if spec is None else str(spec), per_class=PER_CLASS, read_options=ReadOptions()
    )
    images = calibration_images(encoder, options) if numbers.startswith("int8") else None
    export_onnx(encoder, out, numbers=numbers, images=images)
    written = onnx_encoder(out, ReadOptions(), name=out.stem)
    drift = None
    if options.data is None:
        worst = _difference_on_noise(encoder, written)
    else:
        sets, notes = read_pair({"old": encoder, "new": written}, options, counting=counting)
        old, new = (one.features for one in sets.values())
        worst = float((old - new).abs().max() / old.abs().max())
        drift = drift_of_sets(sets, seed=options.seed, notes=notes)
    if numbers == "float32" and not worst <= CLOSE:
        out.unlink()
        raise CheckpointError(
            "the exported graph gives other features than torch", found=f"{worst:.2g} of the largest feature"
        )
    return written, drift, worst


def calibration_images(encoder: Encoder, options: AnalysisOptions) -> torch.Tensor:
    """Return images of train, of val where there are none, normalised as the encoder takes them [N, 3, S, S]."""
    from repdiag.data.datasets import open_dataset
    from repdiag.data.splits import NoTrainPartError
    from repdiag.embeddings.fed_images import as_fed

    assert options.data is not None
    split: ImageSplit
    try:
        split = open_dataset(options.data, "train", download=options.download, strict=options.strict_data)
    except NoTrainPartError:
        split = open_dataset(options.data, "val", download=options.download, strict=options.strict_data)
    return as_fed(encoder, split.limited(CALIBRATION, seed=options.seed), seed=options.seed)


@torch.inference_mode()
def _difference_on_noise(encoder: Encoder, written: Encoder) -> float:
    size = encoder.info.image_size
    images = torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(1))
    old, new = encoder(images), written(images)
    return float((old - new).abs().max() / old.abs().max())


def numbers_of(out: Path, *, int8: bool, half: bool, per_tensor: bool) -> Numbers:
    """Return which numbers a graph is written in; raises `UsageError` where what was asked contradicts itself."""
    if out.suffix != ".onnx" and (int8 or half or per_tensor):
        raise UsageError("--int8 and --half need an ONNX file", found=str(out), hint="choose a file that ends in .onnx")
    if int8 and half:
        raise UsageError("--int8 and --half contradict each other")
    if per_tensor and not int8:
        raise UsageError("--per-tensor goes with --int8")
    return "float16" if half else "float32" if not int8 else "int8 per tensor" if per_tensor else "int8"
