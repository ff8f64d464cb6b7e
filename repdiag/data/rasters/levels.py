"""Levels of any type to pixels: what is black, what is white, and what had to be done to get there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.data.reading import PLAIN, Reading

Array = NDArray[Any]
INSTALL = "pip install 'repdiag[images]'"
"""What brings the decoders that are not everybody's."""
_WHITE = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0}


class UnreadableImage(ValueError):  # noqa: N818 - a property of the image, not a failure of ours
    """The bytes are not an image that can be decoded whole; the message is the reason."""


@dataclass(frozen=True)
class Decoded:
    """The pixels of one image and what was done to have them.

    `pixels` are RGB uint8 [3, H, W], or float32 [C, H, W] in [0, 1] where there are not three channels. `notes` are
    keys of `reading_notes.SENTENCES`; `levels` the lowest and highest level of an image of more than eight bits.
    """

    pixels: Tensor
    notes: tuple[str, ...] = ()
    levels: tuple[float, float] | None = None


def to_pixels(array: Array, reading: Reading = PLAIN, *, notes: tuple[str, ...] = (), colours: int = 0) -> Decoded:
    """Return the pixels of an array [C, H, W] of any type; `colours` of its channels are red, green and blue, or gray.

    One gray channel is repeated, three colours are kept, and what comes after them is left out as alpha, unless
    `reading.channels` asks for more. Without `colours` all channels are kept as they are.
    """
    chosen, notes = _chosen(array, reading, notes, colours)
    low, high, notes = _ends(chosen, reading, notes)
    levels = None if chosen.dtype in (np.uint8, np.bool_) else _span(chosen)
    if len(chosen) in (1, 3) and (reading.channels is None or len(chosen) == 3):
        if len(chosen) == 1:
            notes = (*notes, "gray")
        shades = np.clip(np.rint((_finite(chosen, low) - low) * (255.0 / (high - low))), 0.0, 255.0).astype(np.uint8)
        pixels = torch.from_numpy(np.ascontiguousarray(np.repeat(shades, 3 // len(shades), axis=0)))
        return Decoded(pixels, notes, levels)
    unit = np.clip((_finite(chosen, low) - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return Decoded(torch.from_numpy(np.ascontiguousarray(unit)), notes, levels)


def _chosen(array: Array, reading: Reading, notes: tuple[str, ...], colours: int) -> tuple[Array, tuple[str, ...]]:
    if reading.channels == "all":
        return array, notes
    if reading.channels is not None:
        if max(reading.channels) > len(array):
            raise UnreadableImage(
                f"it has {len(array)} channels, and channel {max(reading.channels)} was asked for (channels=...)"
            )
        return array[[number - 1 for number in reading.channels]], notes
    if 0 < colours < len(array):
        return array[:colours], (*notes, "alpha")
    return array, notes


def _ends(array: Array, reading: Reading, notes: tuple[str, ...]) -> tuple[float, float, tuple[str, ...]]:
    """Return black and white, and the notes with what that took."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        notes = (*notes, "not-finite")
    if reading.levels == "each":
        low, high = _span(array)
        return low, max(high, low + 1e-12), (*notes, "each")
    if reading.levels is not None:
        low, high = reading.levels
        lowest, highest = _span(array)
        if array.dtype == np.uint8 and high > 255.0:
            raise UnreadableImage(f"it has 8 bits and cannot reach the white that levels={low:g}..{high:g} asks for")
        return low, high, (*notes, "scaled", *(("clipped",) if lowest < low or highest > high else ()))
    white = _WHITE.get(array.dtype.name)
    if white is None:
        low, high = _span(array)
        kind = "float" if array.dtype.kind == "f" else "signed" if low < 0 else f"{array.dtype.itemsize * 8}-bit"
        raise UnreadableImage(
            f"{kind} levels ({low:g} to {high:g}) have no known white; levels=LOW..HIGH after the data's path says it"
        )
    return 0.0, white, (*notes, "16-bit") if white > 255.0 else notes


def _span(array: Array) -> tuple[float, float]:
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _finite(array: Array, low: float) -> NDArray[np.float64]:
    wide = array.astype(np.float64)
    return np.where(np.isfinite(wide), wide, low) if array.dtype.kind == "f" else wide
