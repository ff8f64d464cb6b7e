"""How an exported file is fed: told, recorded in it or beside it, like its partner, or assumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from repdiag.checkpoints.encoder import EncoderInfo
from repdiag.checkpoints.exported.ports import ExportedFile, ImageInput
from repdiag.checkpoints.facts import ASSUMED, Origin, recorded
from repdiag.checkpoints.fitting.ceilings import bounded_image_size
from repdiag.checkpoints.fitting.input import Input, as_told, described
from repdiag.checkpoints.formats.format import Preprocessing
from repdiag.checkpoints.formats.hugging_face import preprocessing_of_processor
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.core.printable import one_line

METADATA = "repdiag"
"""The key of a graph's metadata under which `repdiag convert` writes how it is to be fed, as JSON."""

_LIKE = "as for"
_BESIDE = "preprocessor_config.json"
_MOST_METADATA = 65_536  # characters of our own entry; it has some hundreds
# What a byte may stand for, at its lowest and at its highest: numbers that only pixels fill so exactly.
_PIXEL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
_SLACK = 0.02


def fed_like(fed: Input, partner: EncoderInfo | None) -> tuple[str, ...]:
    """Return a note where the file is fed like its partner, because it does not say how itself."""
    like = fed.preprocessing.origin.where.startswith(_LIKE)
    name = "" if partner is None else partner.name
    return (f"fed like {name}: the graph does not say how (--mean, --std, --resize)",) if like else ()


def fed_input(
    graph: ExportedFile,
    image: ImageInput,
    *,
    own: Mapping[str, Any],
    read_options: ReadOptions,
    partner: EncoderInfo | None,
) -> Input:
    """Return how a file is fed; `own` is what `own_metadata` found, and `partner` the encoder beside it, if any."""
    found = as_told(_preprocessing(graph, image, own, partner), read_options)
    asked = read_options.image_size
    if image.side is not None and asked is not None and asked != image.side:
        raise UsageError(f"the graph takes images of {image.side} pixels only", found=f"--image-size {asked}")
    if image.side is not None:
        return described(found, bounded_image_size(image.side), recorded("the graph"))
    if found.image_size is None:
        raise CheckpointError(
            f"{graph.path} takes images of any size, and does not record the intended one",
            hint="give it with --image-size N",
        )
    return described(found, bounded_image_size(found.image_size), found.origin_of("image_size"))


def _preprocessing(
    graph: ExportedFile, image: ImageInput, own: Mapping[str, Any], partner: EncoderInfo | None
) -> Preprocessing:
    if own:
        return _of_metadata(own, graph)
    if image.dtype == "uint8" and not image.scale:  # normalised inside of the graph
        return Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, origin=recorded("the graph: bytes"))
    if (bytes_of := _of_pixel_range(image)) is not None:
        return bytes_of
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


def _of_pixel_range(image: ImageInput) -> Preprocessing | None:
    """Return the normalisation of an input whose bytes stand for [0, 1], [-1, 1] or [0, 255]: pixels as they are."""
    if not image.scale:
        return None
    ends = np.iinfo(image.dtype)
    low, high = (image.scale * (end - image.zero_point) for end in (ends.min, ends.max))
    for lowest, highest in _PIXEL_RANGES:
        if max(abs(low - lowest), abs(high - highest)) <= _SLACK * (highest - lowest):
            mean, std = -lowest / (highest - lowest), 1.0 / (highest - lowest)
            where = recorded(f"the graph: bytes for [{lowest:g}, {highest:g}]")
            return Preprocessing(mean=(mean,) * 3, std=(std,) * 3, origin=where)
    return None


def own_metadata(graph: ExportedFile) -> Mapping[str, Any]:
    """Return what `repdiag convert` recorded in a file; empty where it wrote none."""
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


def _of_metadata(own: Mapping[str, Any], graph: ExportedFile) -> Preprocessing:
    """Return the preprocessing that `repdiag convert` recorded; raises `CheckpointError` where it makes no sense."""
    plain = Preprocessing(origin=recorded(f"the graph's metadata: {METADATA}"))
    try:
        mean, std = (tuple(float(value) for value in own[key]) for key in ("mean", "std"))
        size, resize = int(own["image_size"]), own.get("resize")
        resize = _resize(None if resize is None else int(resize), size, squash=own.get("squash") is True)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        found = f"{type(error).__name__}: {one_line(str(error), 80)}"
        raise CheckpointError(f"the metadata of {graph.path} cannot be understood", found=found) from error
    if len(mean) != 3 or len(std) != 3 or not all(value > 0 for value in std) or size < 1:
        raise CheckpointError(f"the metadata of {graph.path} cannot be understood", found=f"{mean}, {std}, {size}")
    interpolation = "bicubic" if own.get("interpolation") == "bicubic" else "bilinear"
    fed = replace(plain, mean=mean, std=std, image_size=size, interpolation=interpolation, resize=resize)
    return replace(fed, squash=own.get("squash") is True, bgr=own.get("bgr") is True)
