"""Photographs to measure with: scikit-learn's two, cut to the size of a usual ImageNet file."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable

from PIL import Image

WIDTH, HEIGHT, QUALITY = 500, 375, 90


def photographs(count: int) -> list[Image.Image]:
    """Return RGB images of 500 x 375 pixels, cut at different places."""
    from sklearn.datasets import load_sample_images

    sources = [Image.fromarray(image) for image in load_sample_images().images]
    shots = []
    for number in range(count):
        left, top = 5 * number % 140, 3 * number % 52
        shots.append(sources[number % len(sources)].crop((left, top, left + WIDTH, top + HEIGHT)))
    return shots


def as_jpeg(image: Image.Image) -> bytes:
    """Return the bytes of the image as a JPEG file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def cpu_seconds(contenders: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Return the median CPU time of each contender, measured in turns so that disturbances strike all alike."""
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
