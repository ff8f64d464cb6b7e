"""Image files to RGB pixels: every mode, depth and turn as meant, and an error for what cannot be read whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

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


class UnreadableImage(ValueError):  # noqa: N818 - a property of the image, not a failure of ours
    """The bytes are not an image that can be decoded whole; the message is the reason."""


def decode(data: bytes) -> Tensor:
    """Return the pixels of an image file, RGB uint8 [3, H, W], turned as its EXIF says.

    16-bit levels are scaled by 255/65535, CMYK is converted, palettes are looked up, alpha is dropped as Pillow's
    convert("RGB") drops it; of an animation the first frame counts. Raises `UnreadableImage` when the file is
    truncated, damaged, not an image, or larger than Pillow's limit against decompression bombs.
    """
    if not data:
        raise UnreadableImage("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            _refuse_bomb(image)
            pixels = _decoded_jpeg(data) if _is_plain_jpeg(image) else None
            return _decoded(image) if pixels is None else pixels
    except UnreadableImage:
        raise
    # Pillow's plugins raise whatever their parsers run into: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise UnreadableImage(_reason(error)) from error


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Say whether an opened image is a JPEG of gray or colour that stands upright; reads nothing but its header."""
    return image.format == "JPEG" and image.mode in ("L", "RGB") and _orientation(image) not in _TURNS


def _decoded_jpeg(data: bytes) -> Tensor | None:
    """Decode by libjpeg-turbo itself, in two thirds of Pillow's time and to its very pixels; None if not flawless."""
    decoder = _turbo()
    if decoder is None:
        return None
    try:
        pixels: np.ndarray[Any, Any] = decoder(data, colorspace="RGB", strict=True)
    except ValueError:  # Pillow says whether it is still an image, or what is wrong
        return None
    return torch.from_numpy(pixels).permute(2, 0, 1)


@cache
def _turbo() -> Callable[..., np.ndarray[Any, Any]] | None:
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return None
    return decode_jpeg  # type: ignore[no-any-return]


def _decoded(image: Image.Image) -> Tensor:
    image.load()
    upright = _turned(image)
    rgb = _scaled(upright) if upright.mode in _DEEP_MODES else _coloured(upright)
    pixels = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
    return pixels.view(rgb.height, rgb.width, 3).permute(2, 0, 1)


def _refuse_bomb(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    width, height = image.size
    if limit is not None and width * height > limit:
        raise UnreadableImage(f"{width} x {height} pixels are more than the limit of {limit}")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    # A damaged EXIF block says nothing about the pixels, so the image counts as not turned.
    except Exception:
        return 1


def _turned(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _scaled(image: Image.Image) -> Image.Image:
    """Bring 16-bit gray to 8 bits by scaling; Pillow's own conversion would saturate it."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 65535:
        raise UnreadableImage(f"32-bit levels ({levels.min()} to {levels.max()}) have no known white")
    gray = np.rint(levels.astype(np.float64) * (255 / 65535)).astype(np.uint8)
    return Image.fromarray(gray).convert("RGB")


def _coloured(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    image.info.pop("transparency", None)  # dropped like alpha; Pillow would warn that it cannot keep it
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow knows"
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
