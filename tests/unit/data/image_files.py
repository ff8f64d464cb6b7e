"""Writing small image files."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, *, seed: int = 0, height: int = 20, width: int = 26) -> Path:
    """Write an image whose pixels depend on the seed; the suffix decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path
