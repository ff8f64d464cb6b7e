"""Colours of views on a GPU: what `augmentations` does, by kernels that read each image as few times as can be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.transfer import to_device
from repdiag.data import colour
from repdiag.data.kernels.blur import gaussian_blur
from repdiag.data.kernels.colour import BRIGHTNESS, CONTRAST, GRAY, HUE, SATURATION, STEPS, recolour
from repdiag.data.patches import hide
from repdiag.data.view_parameters import ViewParameters, jitter_strengths

_CODES = np.array([BRIGHTNESS, CONTRAST, SATURATION, HUE], np.int32)


def recolour_on_gpu(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Apply jitter, grayscale, blur, solarization and hiding to float32 [B, 3, S, S] in [0, 1], in place."""
    codes, factors = steps_of(parameters)
    blurred = np.flatnonzero(parameters.blur > 0).astype(np.int32)
    solarized = np.flatnonzero(parameters.solarize)
    hidden = [] if parameters.hidden is None else [parameters.hidden]
    arrays: list[NDArray[Any]] = [codes, factors, blurred, parameters.blur[blurred], solarized, *hidden]
    placed = to_device(arrays, images.device)
    if codes.any():
        recolour(images, placed[0], placed[1])
    if len(blurred):
        gaussian_blur(images, placed[2], placed[3])
    if len(solarized):
        images[placed[4]] = colour.solarize(images[placed[4]], parameters.settings.solarize_threshold)
    if hidden:
        images = hide(images, placed[5])
    return images


def steps_of(parameters: ViewParameters) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return what jitter and grayscale do to each sample, in order: codes [B, 5], factors [B, 5]."""
    codes = np.zeros((len(parameters), STEPS), np.int32)
    factors = np.zeros((len(parameters), STEPS), np.float32)
    used = np.where(np.array(jitter_strengths(parameters.settings)) > 0, _CODES, 0)
    codes[:, :4] = used[parameters.order] * parameters.jitter[:, None]
    factors[:, :4] = np.take_along_axis(parameters.factors, parameters.order, axis=1)
    codes[:, 4] = GRAY * parameters.gray
    return codes, factors
