"""DICOM images: the first frame, through the window that the file names."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from repdiag.data.rasters.levels import INSTALL, Array, Decoded, UnreadableImage, to_pixels
from repdiag.data.reading import Reading


def looks_like_dicom(data: bytes) -> bool:
    """Tell whether the bytes are a DICOM file of the usual form, with a preamble."""
    return data[128:132] == b"DICM"


def decode_dicom(data: bytes, reading: Reading) -> Decoded:
    """Return the pixels of a DICOM file's first frame.

    Levels are what the file's rescale makes of the stored ones (Hounsfield units for CT). Black and white are the ends
    of its first window, or of `reading.levels`; without either, of its stored bits. MONOCHROME1 is inverted.
    """
    try:
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut
    except ImportError as error:
        raise UnreadableImage(f"pydicom reads it: {INSTALL}") from error
    try:
        file = pydicom.dcmread(io.BytesIO(data))
        stored: Array = np.asarray(file.pixel_array)
        frames = int(file.get("NumberOfFrames", 1) or 1)
        first = stored[0] if frames > 1 else stored
        if int(file.SamplesPerPixel) == 3:
            return to_pixels(np.moveaxis(first, -1, 0), reading, notes=("pages",) if frames > 1 else (), colours=3)
        levels = np.asarray(apply_modality_lut(first, file), dtype=np.float64)
        ends, source = _window(file, reading)
        inverted = file.PhotometricInterpretation == "MONOCHROME1"
    # pydicom's decoders raise many kinds of errors for files that they cannot unpack.
    except Exception as error:
        raise UnreadableImage(" ".join(f"{error}".split())[:200] or type(error).__name__) from error
    if ends is not None:
        reading = Reading(levels=ends, channels=reading.channels)
    found = to_pixels(levels[None], reading, colours=1)
    notes = tuple(note for note in found.notes if source == "given" or note not in ("scaled", "clipped"))
    notes += ("pages",) * (frames > 1) + (source,) * (source != "given") + ("inverted",) * inverted
    if not inverted:
        return Decoded(found.pixels, notes, found.levels)
    white = 255 if found.pixels.dtype.is_floating_point is False else 1.0
    return Decoded(white - found.pixels, notes, found.levels)


def _window(file: Any, reading: Reading) -> tuple[tuple[float, float] | None, str]:
    if reading.levels is not None:
        return None, "given"
    centre, width = (_first(file.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width > 1:
        low = centre - 0.5 - (width - 1) / 2  # PS3.3 C.11.2.1.2.1, the linear window
        return (low, low + width - 1), "window"
    slope, intercept = (float(file.get(name, usual)) for name, usual in (("RescaleSlope", 1), ("RescaleIntercept", 0)))
    bits = int(file.BitsStored)
    least = -(2 ** (bits - 1)) if int(file.PixelRepresentation) else 0
    return (slope * least + intercept, slope * (least + 2**bits - 1) + intercept), "stored-bits"


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:
        return float(value[0])
