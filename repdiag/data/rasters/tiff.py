"""TIFF files that Pillow cannot read whole: many channels, pages that are one array, deep colour."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np

from repdiag.data.rasters.levels import INSTALL, Array, Decoded, UnreadableImage, to_pixels
from repdiag.data.reading import Reading

NEEDED = f"tifffile reads it: {INSTALL}"
_STACKS = "ZTIPR"  # depth, time, pages, positions: pages of one file that are no channels


def looks_like_tiff(data: bytes) -> bool:
    """Tell whether the bytes start as a TIFF or a BigTIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def decode_tiff(data: bytes, reading: Reading) -> Decoded:
    """Return the pixels of a TIFF of any number of channels; raise `UnreadableImage` with the reason."""
    try:
        import tifffile
    except ImportError as error:
        raise UnreadableImage(NEEDED) from error
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it cannot read is named with a reason
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            series = file.series[0]
            page = series.keyframe
            array, axes = _first_of_others(series, reading)
            photometric = getattr(page.photometric, "name", "")
            shaped = bool(file.shaped_metadata)
    except UnreadableImage:
        raise
    # tifffile raises whatever its parsers run into, and its codecs errors of their own.
    except Exception as error:
        raise UnreadableImage(" ".join(f"{error}".split())[:200] or type(error).__name__) from error
    channels, notes = _channels_first(array, axes, reading, shaped=shaped)
    colours = {"RGB": 3, "YCBCR": 3}.get(photometric, 1 if len(channels) == 1 else 0)
    if photometric in ("CFA", "SEPARATED", "PALETTE", "CIELAB", "LOGLUV"):
        raise UnreadableImage(f"a TIFF of kind {photometric} and of {channels.dtype} is not read")
    return to_pixels(channels, reading, notes=notes, colours=min(colours, len(channels)))


def page_note(frames: int, description: str) -> str | None:
    """Return what a TIFF's frames are: "pages" of their own, parts of one "array", or None where there is one."""
    if frames < 2:
        return None
    one_array = description.startswith(('{"shape"', "ImageJ=")) or "<OME " in description
    return "array" if one_array else "pages"


def _first_of_others(series: Any, reading: Reading) -> tuple[Array, str]:
    """Return the array of a series with at most one axis beside height and width, and its axes."""
    array, axes = np.asarray(series.asarray()), str(series.axes)
    while array.ndim > 3 or (array.ndim == 3 and axes[0] in _STACKS and reading.pages == "first"):
        spare = next((axis for axis in axes if axis in _STACKS), None)
        if spare is None:
            raise UnreadableImage(f"an array of {array.ndim} axes ({axes}: {array.shape}) is no image")
        if reading.pages != "first":
            raise UnreadableImage(
                f"an array of axes {axes} {array.shape}; pages=first after the data's path reads the first"
            )
        array, axes = array.take(0, axis=axes.index(spare)), axes.replace(spare, "", 1)
    return array, axes


def _channels_first(array: Array, axes: str, reading: Reading, *, shaped: bool) -> tuple[Array, tuple[str, ...]]:
    """Return the array as [C, H, W] with what was assumed about its axes."""
    if array.ndim < 2:
        raise UnreadableImage(f"an array of {array.ndim} axes is no image")
    if array.ndim == 2:
        return array[None], ()
    for axis in "SC":
        if axis in axes:
            return np.moveaxis(array, axes.index(axis), 0), ()
    if reading.pages == "channels":
        return array, ("pages-are-channels",)
    if reading.pages == "first":
        return array[:1], ("pages",)
    if axes[0] in _STACKS and not shaped:
        return array[:1], ("pages",)
    # One array whose axes have no names: images are higher and wider than they have channels.
    shortest = int(np.argmin(array.shape))
    if sorted(array.shape)[0] == sorted(array.shape)[1]:
        raise UnreadableImage(
            f"which axis of an array of {array.shape} holds the channels is unknown; pages=channels takes the first"
        )
    return np.moveaxis(array, shortest, 0), ("channel-axis",)
