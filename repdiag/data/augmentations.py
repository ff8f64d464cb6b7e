"""Views of images: pixels changed in batch, on any device, by parameters that were drawn for each sample alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.kernels import runs_kernels
from repdiag.core.transfer import to_device
from repdiag.data import colour
from repdiag.data.affine import move
from repdiag.data.blur import gaussian_blur
from repdiag.data.patches import hide
from repdiag.data.resample import resize_crops, resize_one
from repdiag.data.view_parameters import ViewParameters, draw_parameters, jitter_strengths

__all__ = ["ViewParameters", "augment", "draw_parameters", "recolour", "reframe", "reframe_one"]

_JITTER = (colour.scale_brightness, colour.scale_contrast, colour.scale_saturation, colour.shift_hue)

COLOUR_ONLY = (colour.scale_saturation, colour.shift_hue)
LEFT_OUT = "saturation, hue and grayscale"
"""What views leave out of images of other than three channels."""

_CACHE_PIXELS = 1 << 16  # on a CPU, samples are coloured in groups of this many pixels, which stay in its cache


def augment(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Return the view of each image: [B, C, H, W] to float32 [B, C, S, S] in [0, 1], on the images' device."""
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        return recolour(reframe(images, parameters), parameters)


def reframe(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Return the images moved, cropped, resized and flipped: [B, C, H, W] to float32 [B, C, S, S]."""
    view, size = parameters.settings, parameters.size
    unframed = view.crop_scale is None and view.flip_p == 0.0 and images.shape[-2:] == (size, size)
    if runs_kernels(images) and images.dtype == torch.uint8 and parameters.affine is None and not unframed:
        from repdiag.data.kernels.resample import resize_crops as resize_on_gpu

        return resize_on_gpu(
            images, parameters.boxes, size=size, flip=parameters.flip, interpolation=view.interpolation
        )
    # A copy in either case: several views are cut from the same images, and colours change in place.
    pixels = images.float().div_(255.0) if images.dtype == torch.uint8 else images.float().clone()
    if parameters.affine is not None:
        (affine,) = to_device([parameters.affine], images.device)
        degrees, right, down, zoom = affine.unbind(dim=1)
        pixels = move(pixels, degrees=degrees, shift=torch.stack([right, down], dim=1), zoom=zoom)
    if unframed:
        return pixels
    framed = resize_crops(pixels, parameters.boxes, size=size, flip=parameters.flip, interpolation=view.interpolation)
    return framed.clamp_(0.0, 1.0)


def reframe_one(image: Tensor, parameters: ViewParameters, row: int) -> Tensor:
    """Return one image of any size cropped, resized and flipped: [C, H, W] to [C, S, S].

    The same view as `reframe` gives up to the rounding to whole levels, at the cost of the crop instead of the batch.
    """
    if parameters.affine is not None:
        framed = reframe(image[None], parameters.row(row))[0]
        return framed if image.dtype != torch.uint8 else framed.mul_(255.0).round_().to(torch.uint8)
    box = parameters.boxes[row]
    framed = resize_one(image, box, size=parameters.size, interpolation=parameters.settings.interpolation)
    return framed.flip(2) if parameters.flip[row] else framed


def recolour(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Apply jitter, grayscale, blur, solarization and hiding to float [B, C, S, S] in [0, 1]; may work in place."""
    if runs_kernels(images) and images.shape[1] == 3:
        from repdiag.data.kernels.views import recolour_on_gpu

        return recolour_on_gpu(images.contiguous(), parameters)
    if images.device.type != "cpu":
        return _recolour(images, parameters, slice(None))
    step = max(1, _CACHE_PIXELS // (parameters.size * parameters.size))
    for start in range(0, len(images), step):
        group = slice(start, start + step)
        done = _recolour(images[group], parameters, group)
        if done.data_ptr() != images[group].data_ptr():
            images[group] = done
    return images


@dataclass(frozen=True, eq=False)
class _Change:
    """An operation on some rows of a batch, or on all of them where `rows` is None, with one argument a row."""

    operation: Callable[..., Tensor]
    rows: NDArray[np.int64] | None
    argument: NDArray[np.float32] | None


def _recolour(images: Tensor, parameters: ViewParameters, group: slice) -> Tensor:
    changes = list(_changes(parameters, group, coloured=images.shape[1] == 3))
    arrays = [array for change in changes for array in (change.rows, change.argument) if array is not None]
    hidden = [] if parameters.hidden is None else [parameters.hidden[group]]
    placed = iter(to_device([*arrays, *hidden], images.device))
    for change in changes:
        rows = None if change.rows is None else next(placed)
        argument = () if change.argument is None else (next(placed),)
        if rows is None:  # no copies where all rows take part
            images = change.operation(images, *argument)
        else:
            images[rows] = change.operation(images[rows], *argument)
    if hidden:
        images = hide(images, next(placed))
    return images.clamp_(0.0, 1.0)  # sums of weights that round above one


def _changes(parameters: ViewParameters, group: slice, *, coloured: bool) -> Iterator[_Change]:
    """Yield what is done to which rows, in order; all of it is decided before the device is asked for anything.

    Saturation, hue and grayscale are of red, green and blue, and left out where images are not `coloured`.
    """
    view = parameters.settings
    jitter, order, factors = parameters.jitter[group], parameters.order[group], parameters.factors[group]
    for place in range(4) if jitter.any() else ():
        for index, operation in enumerate(_JITTER):
            if jitter_strengths(view)[index] and (coloured or operation not in COLOUR_ONLY):
                yield from _on_rows(jitter & (order[:, place] == index), operation, factors[:, index])
    if coloured:
        yield from _on_rows(parameters.gray[group], colour.to_gray)
    sigma = parameters.blur[group]
    blur = partial(gaussian_blur, largest=float(sigma.max(initial=0.0)))
    yield from _on_rows(sigma > 0, blur, sigma)
    yield from _on_rows(parameters.solarize[group], partial(colour.solarize, threshold=view.solarize_threshold))


def _on_rows(
    chosen: NDArray[np.bool_], operation: Callable[..., Tensor], argument: NDArray[np.float32] | None = None
) -> Iterator[_Change]:
    rows = np.flatnonzero(chosen)
    if len(rows) == 0:
        return
    if len(rows) == len(chosen):
        yield _Change(operation, None, argument)
    else:
        yield _Change(operation, rows, None if argument is None else argument[rows])
