"""An .onnx file as an encoder: what it is fed with, and where that was read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.onnx_graph import OnnxGraph, read_onnx
from repdiag.checkpoints.exported.onnx_module import PROVIDER, ImageInput, OnnxModule, chosen_output, image_input
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin, assumptions_note, recorded, told
from repdiag.checkpoints.fitting.ceilings import bounded_image_size
from repdiag.checkpoints.fitting.input import Input, as_told, described
from repdiag.checkpoints.formats.format import Preprocessing
from repdiag.checkpoints.formats.hugging_face import preprocessing_of_processor
from repdiag.checkpoints.read_options import ReadOptions, flag_of
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.core.printable import one_line

METADATA = "repdiag"
"""The key of a graph's metadata under which `repdiag convert` writes how it is to be fed, as JSON."""

_TAKEN = {"output", "pool", "image_size", "resize", "interpolation", "mean", "std"}
_LIKE = "as for"
_BESIDE = "preprocessor_config.json"
_MOST_METADATA = 65_536  # characters of our own entry; it has some hundreds


def is_onnx(path: Path) -> bool:
    """Say whether a path names an ONNX graph."""
    return path.suffix.lower() == ".onnx" and path.is_file()


def onnx_encoder(path: Path, read_options: ReadOptions, *, name: str, partner: EncoderInfo | None = None) -> Encoder:
    """Return the encoder that runs a graph through onnxruntime.

    Input name, layout, type, size and batch are the graph's. Normalisation and framing are those told, else recorded in
    the graph's metadata or in preprocessor_config.json beside it, else those of the `partner`, else assumed.
    """
    refused = sorted(set(read_options.to_dict()) - _TAKEN)
    if refused:
        found = ", ".join(flag_of(one) for one in refused)
        raise UsageError("a graph is run as it is: these options change nothing in it", found=found)
    graph = read_onnx(path)
    image = image_input(graph)
    output = chosen_output(graph, read_options.output)
    own = _own_metadata(graph)
    fed = _input(graph, image, own, read_options, partner)
    module = OnnxModule(graph, image, output, pool=read_options.pool)
    with torch.inference_mode():
        width = module(torch.zeros(1, 3, fed.size, fed.size)).shape[1]
    layout = recorded("the graph") if image.layout_is_known else ASSUMED
    facts = (
        *fed.facts,
        Fact.of("layout", image.layout, layout),
        Fact.of("output", one_line(output, 60), told("--output") if read_options.output else recorded("the graph")),
        *([Fact.of("pooling", read_options.pool, told("--pool"))] if read_options.pool else []),
    )
    info = EncoderInfo(
        name=name,
        path=str(path),
        sha256=graph.sha256,
        family="onnx",
        backbone=f"ONNX graph of {graph.producer}",
        branch="online",
        layer=one_line(str(own.get("layer") or output), 60),
        feature_dim=int(width),
        image_size=fed.size,
        resize=fed.resize,
        squash=fed.preprocessing.squash,
        bgr=fed.preprocessing.bgr,
        interpolation=fed.preprocessing.interpolation,
        mean=fed.preprocessing.mean,
        std=fed.preprocessing.std,
        parameters=graph.parameters,
        notes=(*_notes(image), *_fed_like(fed, partner), *assumptions_note(facts)),
        facts=facts,
    )
    return Encoder(module, info)


def _notes(image: ImageInput) -> tuple[str, ...]:
    import onnxruntime

    batch = "" if image.batch is None else f", {image.batch} images at a time as the graph is fixed"
    return (f"run by onnxruntime {onnxruntime.__version__}, {PROVIDER}, {torch.get_num_threads()} threads{batch}",)


def _fed_like(fed: Input, partner: EncoderInfo | None) -> tuple[str, ...]:
    like = fed.preprocessing.origin.where.startswith(_LIKE)
    name = "" if partner is None else partner.name
    return (f"fed like {name}: the graph does not say how (--mean, --std, --resize)",) if like else ()


def _input(
    graph: OnnxGraph,
    image: ImageInput,
    own: Mapping[str, Any],
    read_options: ReadOptions,
    partner: EncoderInfo | None,
) -> Input:
    found = as_told(_preprocessing(graph, image, own, partner), read_options)
    asked = read_options.image_size
    if image.side is not None and asked is not None and asked != image.side:
        raise UsageError(f"the graph takes images of {image.side} pixels only", found=f"--image-size {asked}")
    if image.side is not None:
        return described(found, bounded_image_size(image.side), recorded("the graph"))
    if found.image_size is None:
        raise CheckpointError(
            f"{graph.path} takes images of any size, and nothing says which one it is meant for",
            hint="give it with --image-size N",
        )
    return described(found, bounded_image_size(found.image_size), found.origin_of("image_size"))


def _preprocessing(
    graph: OnnxGraph, image: ImageInput, own: Mapping[str, Any], partner: EncoderInfo | None
) -> Preprocessing:
    if own:
        return _of_metadata(own, graph)
    if image.dtype == "uint8":  # normalised inside of the graph
        return Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, origin=recorded("the graph: bytes"))
    for folder in (graph.path.resolve().parent, graph.path.resolve().parent.parent):
        beside = folder / _BESIDE
        if beside.is_file() and beside.stat().st_size <= _MOST_METADATA:
            settings = json.loads(beside.read_text("utf-8"))
            if isinstance(settings, dict):
                return preprocessing_of_processor(settings, _BESIDE)
    if partner is not None:
        return Preprocessing(
            mean=partner.mean,
            std=partner.std,
            image_size=partner.image_size,
            resize=_resize(partner.resize, partner.image_size, squash=partner.squash),
            squash=partner.squash,
            interpolation=partner.interpolation,
            bgr=partner.bgr,
            origin=Origin("recorded", f"{_LIKE} {one_line(partner.name, 60)}"),
        )
    return Preprocessing(origin=ASSUMED)


def _own_metadata(graph: OnnxGraph) -> Mapping[str, Any]:
    text = graph.metadata.get(METADATA, "")
    if not text or len(text) > _MOST_METADATA:
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _resize(resize: int | None, size: int, *, squash: bool) -> int | None:
    """Return the shorter side before the crop; where an encoder has none it is the side itself, and nothing is cut."""
    return size if resize is None and not squash else resize


def _of_metadata(own: Mapping[str, Any], graph: OnnxGraph) -> Preprocessing:
    """Return the preprocessing that `repdiag convert` recorded; raises `CheckpointError` where it makes no sense."""
    plain = Preprocessing(origin=recorded(f"the graph's metadata: {METADATA}"))
    try:
        mean, std = (tuple(float(value) for value in own[key]) for key in ("mean", "std"))
        size, resize = int(own["image_size"]), own.get("resize")
        resize = _resize(None if resize is None else int(resize), size, squash=own.get("squash") is True)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        found = f"{type(error).__name__}: {one_line(str(error), 80)}"
        raise CheckpointError(f"the metadata of {graph.path} cannot be made sense of", found=found) from error
    if len(mean) != 3 or len(std) != 3 or not all(value > 0 for value in std) or size < 1:
        raise CheckpointError(f"the metadata of {graph.path} cannot be made sense of", found=f"{mean}, {std}, {size}")
    interpolation = "bicubic" if own.get("interpolation") == "bicubic" else "bilinear"
    fed = replace(plain, mean=mean, std=std, image_size=size, interpolation=interpolation, resize=resize)
    return replace(fed, squash=own.get("squash") is True, bgr=own.get("bgr") is True)
