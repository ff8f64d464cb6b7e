"""The parameters of views: drawn by counter for each sample, so that no other sample has a part in them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdiag.config.views import ViewSettings
from repdiag.data.counter_rng import CounterStream, Uniforms
from repdiag.data.crops import Boxes, Sizes, draw_boxes
from repdiag.data.patches import draw_cells

# Each operation reads its own range of slots, so that a change of one never moves the draws of another. Crops come
# last: joint draws of several boxes (crops.py) read on from there without an end.
_AFFINE, _FLIP, _JITTER_P, _FACTORS, _ORDER = 0, 8, 16, 24, 32
_GRAY, _BLUR, _SOLARIZE, _PATCHES, CROP_SLOT = 40, 48, 56, 64, 1 << 32


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewParameters:
    """What was drawn for one view of each of B images; None where the settings leave an operation out."""

    settings: ViewSettings
    size: int
    boxes: Boxes
    flip: NDArray[np.bool_]
    affine: NDArray[np.float32] | None
    """Degrees, shift right, shift down, zoom: [B, 4]."""
    jitter: NDArray[np.bool_]
    factors: NDArray[np.float32]
    """Brightness, contrast, saturation, hue: [B, 4]."""
    order: NDArray[np.int64]
    """The places of the four in the order of their application: [B, 4]."""
    gray: NDArray[np.bool_]
    blur: NDArray[np.float32]
    """Standard deviation in pixels, 0 for none."""
    solarize: NDArray[np.bool_]
    hidden: NDArray[np.bool_] | None
    """Pixels that hide-and-seek hides: [B, size, size]."""

    def __len__(self) -> int:
        return len(self.flip)

    def row(self, index: int) -> ViewParameters:
        """Return the parameters of one image, as a batch of one."""
        one: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                one[item.name] = value[index : index + 1]
        return replace(self, **one)


def draw_parameters(
    view: ViewSettings, stream: CounterStream, *, image_sizes: Sizes, size: int, boxes: Boxes | None = None
) -> ViewParameters:
    """Draw one view of each row of the stream; `boxes` replaces the crops by ones drawn elsewhere.

    `image_sizes` holds the (height, width) of each image, `size` the side of the view where the settings leave it
    open.
    """
    size = view.size or size
    if boxes is None:
        boxes = draw_boxes(view, stream, slot=CROP_SLOT, sizes=image_sizes)
    blur = stream.uniform(_BLUR, 2)
    sigma = view.blur_sigma[0] + blur[:, 1] * (view.blur_sigma[1] - view.blur_sigma[0])
    return ViewParameters(
        settings=view,
        size=size,
        boxes=boxes,
        flip=_chance(stream, _FLIP, view.flip_p),
        affine=_draw_affine(view, stream),
        jitter=_chance(stream, _JITTER_P, view.jitter_p) & any(jitter_strengths(view)),
        factors=_draw_factors(view, stream.uniform(_FACTORS, 4)),
        order=np.argsort(stream.uniform(_ORDER, 4), axis=1),
        gray=_chance(stream, _GRAY, view.gray_p),
        blur=np.where(blur[:, 0] < view.blur_p, sigma, 0.0).astype(np.float32),
        solarize=_chance(stream, _SOLARIZE, view.solarize_p),
        hidden=_draw_hidden(view, stream, size),
    )


def jitter_strengths(view: ViewSettings) -> tuple[float, ...]:
    """Return the strengths of brightness, contrast, saturation and hue."""
    return view.brightness, view.contrast, view.saturation, view.hue


def _chance(stream: CounterStream, slot: int, probability: float) -> NDArray[np.bool_]:
    return stream.uniform(slot)[:, 0] < probability


def _draw_factors(view: ViewSettings, draws: Uniforms) -> NDArray[np.float32]:
    """Brightness, contrast and saturation lie in [max(0, 1 - s), 1 + s], the hue's turn in [-s, s]."""
    strengths = np.array(jitter_strengths(view))
    low = np.append(np.maximum(1.0 - strengths[:3], 0.0), -strengths[3])
    high = np.append(1.0 + strengths[:3], strengths[3])
    drawn: NDArray[np.float32] = (low + draws * (high - low)).astype(np.float32)
    return drawn


def _draw_affine(view: ViewSettings, stream: CounterStream) -> NDArray[np.float32] | None:
    if not (view.rotate or view.shift or view.zoom != (1.0, 1.0)):
        return None
    draws = stream.uniform(_AFFINE, 4)
    low = np.array([-view.rotate, -view.shift, -view.shift, view.zoom[0]])
    high = np.array([view.rotate, view.shift, view.shift, view.zoom[1]])
    drawn: NDArray[np.float32] = (low + draws * (high - low)).astype(np.float32)
    return drawn


def _draw_hidden(view: ViewSettings, stream: CounterStream, size: int) -> NDArray[np.bool_] | None:
    if not any(view.patch_sizes):
        return None
    choice = np.floor(stream.uniform(_PATCHES)[:, 0] * len(view.patch_sizes)).astype(np.int64)
    return draw_cells(
        stream, slot=_PATCHES + 1, sides=view.patch_sizes, choice=choice, size=size, probability=view.patch_p
    )
