"""Where it breaks: for a graph that finds other neighbours, the layers at which its signal falls."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import RepdiagError

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.checkpoints.encoder import Encoder
    from repdiag.checkpoints.exported.layer_noise import GraphRun
    from repdiag.workflows.drift_result import Drift
    from repdiag.workflows.options import AnalysisOptions

IMAGES = 32
"""Images that the layers are looked at with."""


def with_layers(found: Drift, sources: Mapping[str, Any], options: AnalysisOptions) -> Drift:
    """Return the drift with its layers, where the new encoder is a graph, the old one a network, and they differ.

    `sources` are the two sides of the drift, loaded. A checkpoint is exported for it, as `repdiag convert` would. Where
    the two share no tensor names nothing is added, and a note says so.
    """
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.diagnosis.drift.verdict import SAME_SPACE

    old, new = sources["old"], sources["new"]
    if found.verdict == SAME_SPACE or options.data is None:
        return found
    if not isinstance(old, Encoder) or not isinstance(new, Encoder) or new.info.family != "onnx":
        return found
    frame = layer_frame(old, new, options)
    if frame is None:
        note = f"{found.new} has no tensor names in common with {found.old}: the layers cannot be compared"
        return replace(found, notes=(*found.notes, note))
    return replace(found, layers=frame.assign(checkpoint=found.new))


def layer_frame(old: Encoder, new: Encoder, options: AnalysisOptions) -> pd.DataFrame | None:
    """Return one row a layer: signal to noise of the new encoder's tensor, and its fall; None where none is common."""
    import pandas as pd

    from repdiag.checkpoints.exported.layer_noise import layer_noise
    from repdiag.data.datasets import open_dataset
    from repdiag.diagnosis.drift.thresholds import LAYER_FALL
    from repdiag.embeddings.fed_images import as_fed

    split = open_dataset(str(options.data), "val", download=options.download, strict=options.strict_data)
    images = as_fed(old, split.limited(IMAGES, seed=options.seed), seed=options.seed)
    with tempfile.TemporaryDirectory(prefix="repdiag-layers-") as folder:
        try:
            layers = layer_noise(_run_of(old, Path(folder)), _run_of(new, Path(folder)), images)
        except RepdiagError:  # no exporter follows the old one, or a graph does not run with its inner tensors read
            return None
    if not layers:
        return None
    frame = pd.DataFrame([asdict(layer) for layer in layers])
    frame["falls"] = frame["fall"] >= LAYER_FALL
    return frame.assign(place=range(1, len(frame) + 1), dataset=split.name, split=split.split, n=len(images))


def _run_of(encoder: Encoder, folder: Path) -> GraphRun:
    from repdiag.checkpoints.exported.layer_noise import GraphRun
    from repdiag.checkpoints.exported.onnx_encoder import onnx_encoder
    from repdiag.checkpoints.exported.onnx_export import export_onnx
    from repdiag.checkpoints.exported.onnx_graph import read_onnx
    from repdiag.checkpoints.exported.onnx_module import OnnxModule
    from repdiag.checkpoints.read_options import ReadOptions

    if encoder.info.family != "onnx":
        path = folder / "exported.onnx"
        export_onnx(encoder.to("cpu"), path)
        encoder = onnx_encoder(path, ReadOptions(), name=encoder.info.name)
    module = encoder.backbone
    assert isinstance(module, OnnxModule)
    return GraphRun(read_onnx(Path(encoder.info.path)), module.image, module.output)
