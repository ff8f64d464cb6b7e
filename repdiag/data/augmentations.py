"""Views of images: pixels changed in batch, on any device, by parameters that were drawn for each sample alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.data import colour
from repdiag.data.affine import move
from repdiag.data.blur import gaussian_blur
from repdiag.data.patches import hide
from repdiag.data.resample import resize_crops, resize_one
from repdiag.data.view_parameters import ViewParameters, draw_parameters, jitter_strengths

__all__ = ["ViewParameters", "augment", "draw_parameters", "recolour", "reframe", "reframe_one"]

_JITTER = (colour.scale_brightness, colour.scale_contrast, colour.scale_saturation, colour.shift_hue)

_CACHE_PIXELS = 1 << 16  # on a CPU, samples are coloured in groups of this many pixels, which stay in its cache


def augment(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Return the view of each image: uint8 [B, 3, H, W] to float32 [B, 3, S, S] in [0, 1], on the images' device."""
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        return recolour(reframe(images, parameters), parameters)


def reframe(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Return the images moved, cropped, resized and flipped: uint8 [B, 3, H, W] to float32 [B, 3, S, S]."""
    view, size = parameters.settings, parameters.size
    pixels = images.float().div_(255.0)
    if parameters.affine is not None:
        degrees, right, down, zoom = torch.from_numpy(parameters.affine).to(images.device).unbind(dim=1)
        pixels = move(pixels, degrees=degrees, shift=torch.stack([right, down], dim=1), zoom=zoom)
    if view.crop_scale is None and view.flip_p == 0.0 and images.shape[-2:] == (size, size):
        return pixels
    framed = resize_crops(pixels, parameters.boxes, size=size, flip=parameters.flip, interpolation=view.interpolation)
    return framed.clamp_(0.0, 1.0)


def reframe_one(image: Tensor, parameters: ViewParameters, row: int) -> Tensor:
    """Return one image of any size cropped, resized and flipped: uint8 [3, H, W] to uint8 [3, S, S].

    The same view as `reframe` gives up to the rounding to whole levels, at the cost of the crop instead of the batch.
    """
    if parameters.affine is not None:
        framed = reframe(image[None], parameters.row(row))
        return framed[0].mul_(255.0).round_().to(torch.uint8)
    box = parameters.boxes[row]
    framed = resize_one(image, box, size=parameters.size, interpolation=parameters.settings.interpolation)
    return framed.flip(2) if parameters.flip[row] else framed


def recolour(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Apply jitter, grayscale, blur, solarization and hiding to float [B, 3, S, S] in [0, 1]; may work in place."""
    if images.device.type != "cpu":
        return _recolour(images, parameters, slice(None))
    step = max(1, _CACHE_PIXELS // (parameters.size * parameters.size))
    for start in range(0, len(images), step):
        group = slice(start, start + step)
        done = _recolour(images[group], parameters, group)
        if done.data_ptr() != images[group].data_ptr():
            images[group] = done
    return images


def _recolour(images: Tensor, parameters: ViewParameters, group: slice) -> Tensor:
    view, device = parameters.settings, images.device
    jitter, order = parameters.jitter[group], parameters.order[group]
    factors = torch.from_numpy(parameters.factors[group]).to(device)
    for place in range(4) if jitter.any() else ():
        for index, operation in enumerate(_JITTER):
            if jitter_strengths(view)[index]:
                images = _on_rows(images, jitter & (order[:, place] == index), operation, factors[:, index])
    images = _on_rows(images, parameters.gray[group], colour.to_gray)
    sigma = parameters.blur[group]
    images = _on_rows(images, sigma > 0, gaussian_blur, torch.from_numpy(sigma).to(device))
    images = _on_rows(images, parameters.solarize[group], lambda rows: colour.solarize(rows, view.solarize_threshold))
    if parameters.hidden is not None:
        images = hide(images, torch.from_numpy(parameters.hidden[group]).to(device))
    return images.clamp_(0.0, 1.0)  # sums of weights that round above one


def _on_rows(
    images: Tensor, chosen: NDArray[np.bool_], operation: Callable[..., Tensor], argument: Tensor | None = None
) -> Tensor:
    """Replace the chosen samples by what the operation makes of them, without copies where all or none are."""
    rows = np.flatnonzero(chosen)
    if len(rows) == 0:
        return images
    if len(rows) == len(images):
        return operation(images) if argument is None else operation(images, argument)
    index = torch.from_numpy(rows).to(images.device)
    picked = images[index]
    images[index] = operation(picked) if argument is None else operation(picked, argument[index])
    return images
