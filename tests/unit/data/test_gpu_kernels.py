"""The GPU's kernels of views, run by Triton's interpreter on the CPU: the pixels of the CPU's own operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCRIPT = """
import json
import numpy as np
import torch
from repdiag.config.views import view_preset
from repdiag.data import augmentations
from repdiag.data.kernels import resample as gpu_resample
from repdiag.data.kernels import views as gpu_views
from repdiag.data.counter_rng import CounterStream
from repdiag.data.view_parameters import draw_parameters

COUNT = 5
keys = np.arange(COUNT, dtype=np.uint64)
errors = {}
for name, shape, preset, number in [
    ("smaller", (40, 33), "moco_v2", 0),
    ("larger, bicubic, solarized", (9, 20), "dino_multi_crop", 1),
    ("patches", (24, 24), "shi2022_patches", 0),
]:
    images = torch.randint(0, 256, (COUNT, 3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    view = view_preset(preset)[number]
    stream = CounterStream.keyed(keys, purpose="kernels", seed=3)
    drawn = draw_parameters(view, stream, image_sizes=np.tile([shape], (COUNT, 1)), size=18)
    framed = gpu_resample.resize_crops(
        images, drawn.boxes, size=drawn.size, flip=drawn.flip, interpolation=view.interpolation
    )
    framing = float((framed - augmentations.reframe(images, drawn)).abs().max())
    found = gpu_views.recolour_on_gpu(framed.clone(), drawn)
    errors[name] = framing, float((found - augmentations.augment(images, drawn)).abs().max())
    errors[name] += (float((found - framed).abs().max()),)
print(json.dumps(errors))
"""


def test_views_have_the_pixels_of_the_cpu(interpreted: Callable[[str], Any]) -> None:
    for name, (framing, colour, change) in interpreted(SCRIPT).items():
        assert framing < 2e-6, name
        assert colour < 5e-6, name
        assert change > 0.1, name
