"""Image files to RGB pixels: every mode, depth and turn as meant, and an error for what cannot be read whole."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from repdiag.data.rasters.dicom import decode_dicom, looks_like_dicom
from repdiag.data.rasters.levels import INSTALL, Array, Decoded, UnreadableImage, to_pixels
from repdiag.data.rasters.tiff import decode_tiff, looks_like_tiff, page_note
from repdiag.data.reading import PLAIN, Reading

__all__ = ["UnreadableImage", "decode", "decode_with_notes"]

_ORIENTATION = 0x0112
# EXIF's eight values: how the stored image is turned to stand upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_MODE_NOTES = {
    "1": ("gray",),
    "L": ("gray",),
    "LA": ("gray", "alpha"),
    "La": ("gray", "alpha"),
    "P": ("palette",),
    "PA": ("palette", "alpha"),
    "RGBA": ("alpha",),
    "RGBa": ("alpha",),
    "CMYK": ("colours",),
    "YCbCr": ("colours",),
    "LAB": ("colours",),
    "HSV": ("colours",),
}
_BITS, _DESCRIPTION, _SAMPLES = 258, 270, 277  # tags of a TIFF
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # what it cannot read is read, or named, here
_WARNINGS = threading.Lock()  # Python's filters of warnings are shared by all threads


def decode(data: bytes, reading: Reading = PLAIN) -> Tensor:
    """Return the pixels of an image file, turned as its EXIF says: RGB uint8 [3, H, W], or float32 [C, H, W].

    16-bit levels are scaled by 255/65535, CMYK is converted, palettes are looked up, alpha is dropped as Pillow's
    convert("RGB") drops it; of an animation the first frame counts. Files of other than one, three or four channels
    keep all of them, scaled to [0, 1]; `reading` says otherwise. Raises `UnreadableImage` when the file is truncated,
    damaged, not an image, has levels without a known white, or is larger than Pillow's limit against bombs.
    """
    return decode_with_notes(data, reading).pixels


def decode_with_notes(data: bytes, reading: Reading = PLAIN) -> Decoded:
    """Return the pixels of `decode` with what had to be done to have them."""
    if not data:
        raise UnreadableImage("the file is empty")
    if looks_like_dicom(data):
        return decode_dicom(data, reading)
    try:
        return _by_pillow(data, reading)
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:
        if looks_like_tiff(data):  # of a layout that Pillow does not know
            return decode_tiff(data, reading)
        raise UnreadableImage(_unidentified(data)) from error
    # Pillow's plugins raise whatever their parsers run into: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise UnreadableImage(_reason(error)) from error


def _by_pillow(data: bytes, reading: Reading) -> Decoded:
    with _opened(data) as image:
        _refuse_bomb(image)
        if image.format == "TIFF" and (found := _deep_tiff(image, data, reading)) is not None:
            return found
        notes = _frame_notes(image)
        if image.mode in _DEEP_MODES or reading != PLAIN:
            return _deep(image, data, reading, notes)
        if _orientation(image) in _TURNS:
            notes += ("turned",)
        notes += _MODE_NOTES.get(image.mode, ())
        if _bits(image, data) == 16:
            notes += ("16-bit",)
        pixels = _decoded_jpeg(data) if _is_plain_jpeg(image) else None
        pixels = _decoded(image) if pixels is None else pixels
        deep = (0.0, float(pixels.max()) * 257.0) if "16-bit" in notes else None
        return Decoded(pixels, notes, deep)


def _opened(data: bytes) -> Image.Image:
    """Open an image without Pillow's warning about its size: `_refuse_bomb` draws the line where Pillow's error is."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(io.BytesIO(data))
        except UnidentifiedImageError:
            if data[4:8] != b"ftyp" or not _knows_heif():
                raise
            return Image.open(io.BytesIO(data))


@cache
def _knows_heif() -> bool:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _frame_notes(image: Image.Image) -> tuple[str, ...]:
    if image.format in ("MPO", "HEIF", "AVIF") or not getattr(image, "is_animated", False):
        return ()  # the other pictures of a phone's file are previews and depth maps, which nobody means
    return ("pages",) if image.format == "TIFF" else ("frames",)


def _deep_tiff(image: Image.Image, data: bytes, reading: Reading) -> Decoded | None:
    """Return what tifffile reads of a TIFF that is more than Pillow shows, or None where Pillow shows all of it."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    pages = page_note(getattr(image, "n_frames", 1), str(tags.get(_DESCRIPTION, "")))
    samples, bits = int(tags.get(_SAMPLES, 1)), max(_tuple(tags.get(_BITS, 1)))
    asked = reading != PLAIN and (bits > 8 or samples != 3 or pages is not None)
    if pages == "array" or asked or (samples > 3 and bits > 8) or (samples == 2 and "A" not in image.mode.upper()):
        return decode_tiff(data, reading)
    return None


def _deep(image: Image.Image, data: bytes, reading: Reading, notes: tuple[str, ...]) -> Decoded:
    """Decode what has more than 8 bits, or is to be read in another way than plainly."""
    if image.mode in ("P", "1", "CMYK", "YCbCr", "LAB", "HSV"):
        kept = image.mode
        image = _coloured(image)
        notes += _MODE_NOTES.get(kept, ())
    if _bits(image, data) == 16 and image.format == "PNG" and image.mode not in _DEEP_MODES:
        array = _deep_png(data)
    else:
        image.load()
        array = np.asarray(image)
        array = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    turn = _orientation(image)
    if turn in _TURNS:
        array = _turned_array(array, turn)
        notes += ("turned",)
    return to_pixels(array, reading, notes=notes, colours=3 if len(array) >= 3 else 1)


def _deep_png(data: bytes) -> Array:
    """Return all bits of a 16-bit colour PNG [C, H, W]; Pillow keeps the upper eight."""
    try:
        from imagecodecs import png_decode
    except ImportError as error:
        raise UnreadableImage(f"imagecodecs reads all bits of it: {INSTALL}") from error
    return np.moveaxis(np.asarray(png_decode(data)), -1, 0)


def _turned_array(array: Array, turn: int) -> Array:
    planes = [np.asarray(Image.fromarray(plane).transpose(_TURNS[turn])) for plane in array]
    return np.stack(planes)


def _bits(image: Image.Image, data: bytes) -> int:
    """Return the bits of one level, as far as two formats tell that can have more than eight of colour."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return max(_tuple(image.tag_v2.get(_BITS, 8)))  # type: ignore[attr-defined]
    return 8


def _tuple(value: Any) -> tuple[int, ...]:
    return tuple(int(one) for one in value) if isinstance(value, tuple | list) else (int(value),)


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Say whether an opened image is a JPEG of gray or colour that stands upright; reads nothing but its header."""
    return image.format == "JPEG" and image.mode in ("L", "RGB") and _orientation(image) not in _TURNS


def _decoded_jpeg(data: bytes) -> Tensor | None:
    """Decode by libjpeg-turbo itself, in two thirds of Pillow's time and to its very pixels; None if not flawless."""
    decoder = _turbo()
    if decoder is None:
        return None
    try:
        pixels: Array = decoder(data, colorspace="RGB", strict=True)
    except ValueError:  # Pillow says whether it is still an image, or what is wrong
        return None
    return torch.from_numpy(pixels).permute(2, 0, 1)


@cache
def _turbo() -> Callable[..., Array] | None:
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return None
    return decode_jpeg  # type: ignore[no-any-return]


def _decoded(image: Image.Image) -> Tensor:
    image.load()
    rgb = _coloured(_turned(image))
    pixels = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
    return pixels.view(rgb.height, rgb.width, 3).permute(2, 0, 1)


def _refuse_bomb(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    width, height = image.size
    if limit is not None and width * height > 2 * limit:
        raise UnreadableImage(f"{width} x {height} pixels are more than the limit of {2 * limit}")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    # A damaged EXIF block says nothing about the pixels, so the image counts as not turned.
    except Exception:
        return 1


def _turned(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _coloured(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    image.info.pop("transparency", None)  # dropped like alpha; Pillow would warn that it cannot keep it
    return image.convert("RGB")


def _unidentified(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return f"pillow-heif reads HEIC: {INSTALL}"
    if data[:2] == b"\xff\x0a" or data[4:8] == b"JXL ":
        return "JPEG XL is not read; convert it to PNG or JPEG"
    return "not an image that Pillow knows"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
