"""Image files to RGB pixels: every mode, depth and turn as meant, and an error for what cannot be read whole."""

from __future__ import annotations

import io
import struct

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
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
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EXIF = 0xE1


class UnreadableImage(ValueError):  # noqa: N818 - a property of the image, not a failure of ours
    """The bytes are not an image that can be decoded whole; the message is the reason."""


def decode(data: bytes) -> Tensor:
    """Return the pixels of an image file, RGB uint8 [3, H, W], turned as its EXIF says.

    16-bit levels are scaled by 255/65535, CMYK is converted, palettes are looked up, alpha is dropped as Pillow's
    convert("RGB") drops it. Raises `UnreadableImage` when the file is truncated, damaged, not an image, or larger than
    Pillow's limit against decompression bombs.
    """
    if _is_plain_jpeg(data):
        from torchvision.io import ImageReadMode, decode_jpeg

        try:
            pixels: Tensor = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
            return pixels
        except RuntimeError:
            pass  # Pillow accepts some files that end early but lack no pixel, and gives a reason for the others
    return decode_checked(data)


def decode_checked(data: bytes) -> Tensor:
    """Do the same with Pillow alone, which decodes every file to its end and says what is wrong with it."""
    if not data:
        raise UnreadableImage("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            _refuse_bomb(image)
            image.load()
            upright = _turned(image)
            array = np.array(_scaled(upright) if upright.mode in _DEEP_MODES else upright.convert("RGB"))
    except UnreadableImage:
        raise
    # Pillow's plugins raise whatever their parsers run into: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise UnreadableImage(_reason(error)) from error
    return torch.from_numpy(array).permute(2, 0, 1)


def _refuse_bomb(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    width, height = image.size
    if limit is not None and width * height > limit:
        raise UnreadableImage(f"{width} x {height} pixels are more than the limit of {limit}")


def _turned(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    # A damaged EXIF block says nothing about the pixels, so the image counts as not turned.
    except Exception:
        return image
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _scaled(image: Image.Image) -> Image.Image:
    """Bring 16-bit gray to 8 bits by scaling; Pillow's own conversion would saturate it."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 65535:
        raise UnreadableImage(f"32-bit levels ({levels.min()} to {levels.max()}) have no known white")
    gray = np.rint(levels.astype(np.float64) * (255 / 65535)).astype(np.uint8)
    return Image.fromarray(gray).convert("RGB")


def _is_plain_jpeg(data: bytes) -> bool:
    """Tell whether the file is an 8-bit gray or three-colour JPEG without EXIF, safe for the fast decoder."""
    if data[:2] != b"\xff\xd8":
        return False
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            limit = Image.MAX_IMAGE_PIXELS
            small = limit is None or width * height <= limit
            return data[at + 4] == 8 and data[at + 9] in (1, 3) and small
        if marker == _EXIF:
            return False
        at += 2 + length
    return False


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow knows"
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
