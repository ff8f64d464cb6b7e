"""Image files to RGB pixels: every mode, depth and turn as meant, and an error for what cannot be read whole."""

from __future__ import annotations

import io

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
            image.load()
            upright = _turned(image)
            rgb = _scaled(upright) if upright.mode in _DEEP_MODES else _coloured(upright)
            pixels = bytearray(rgb.tobytes())
    except UnreadableImage:
        raise
    # Pillow's plugins raise whatever their parsers run into: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise UnreadableImage(_reason(error)) from error
    return torch.frombuffer(pixels, dtype=torch.uint8).view(rgb.height, rgb.width, 3).permute(2, 0, 1)


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
