"""The only place where pairs are made: views of rows as a pure function of seed, row id and view number."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repdiag.config.views import EvaluationSettings, Interpolation, Interval, ViewSettings, view_preset
from repdiag.core.errors import ConfigError
from repdiag.data.augmentations import augment, recolour, reframe_one
from repdiag.data.counter_rng import CounterStream, Uniforms
from repdiag.data.crops import Sizes, box_iou, draw_overlapping_boxes
from repdiag.data.image_split import ImageSplit, Rows
from repdiag.data.resample import resize_and_centre
from repdiag.data.view_parameters import CROP_SLOT, ViewParameters, draw_parameters

# Raised when the same seed starts to give other pixels; part of every fingerprint.
VIEWS_VERSION = 1


@dataclass(frozen=True, eq=False)
class Frames:
    """The pixels of some rows on their way to views: what a worker process hands over.

    Either one stack that all views are cut from, or one stack of finished crops for each view: uint8 of three channels,
    float32 in [0, 1] of any other number.
    """

    shared: Tensor | None
    crops: tuple[Tensor, ...]
    parameters: tuple[ViewParameters, ...]

    def pin_memory(self) -> Frames:
        """Return the frames in page-locked memory, from where a GPU copies without waiting."""
        shared = None if self.shared is None else self.shared.pin_memory()
        return Frames(shared, tuple(crop.pin_memory() for crop in self.crops), self.parameters)

    def finish(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return one float tensor [B, C, S, S] in [0, 1] for each view, computed on the device."""
        if self.shared is not None:
            images = self.shared.to(device, non_blocking=True)
            return tuple(augment(images, drawn) for drawn in self.parameters)
        pairs = zip(self.crops, self.parameters, strict=True)
        with torch.no_grad():
            return tuple(recolour(_unit(crop.to(device, non_blocking=True)), drawn) for crop, drawn in pairs)


@dataclass(frozen=True, kw_only=True)
class SeededViews:
    """Any number of views of an image, each with its own settings; `iou` bounds the later crops' overlap with the
    first view's."""

    settings: tuple[ViewSettings, ...]
    image_size: int
    purpose: str
    seed: int
    iou: Interval | None = None

    def draw(self, split: ImageSplit, rows: Rows, *, sizes: Sizes, number: int = 0) -> tuple[ViewParameters, ...]:
        """Return the parameters of every view; `number` tells one epoch's views from another's."""
        keys = split.keys[np.asarray(rows)]
        streams = tuple(
            CounterStream.keyed(keys, purpose=self.purpose, seed=self.seed, number=number, view=view)
            for view in range(len(self.settings))
        )
        boxes = (
            (None,) * len(streams)
            if self.iou is None
            else draw_overlapping_boxes(self.settings, streams, slot=CROP_SLOT, sizes=sizes, bounds=self.iou)
        )
        return tuple(
            draw_parameters(view, stream, image_sizes=sizes, size=self.image_size, boxes=box)
            for view, stream, box in zip(self.settings, streams, boxes, strict=True)
        )

    def frame(self, split: ImageSplit, rows: Rows, *, number: int = 0) -> Frames:
        """Read the rows' images and draw their views; images that differ in size are cropped here, on the CPU."""
        if split.native_size is not None:
            stack = split.images(rows)
            sizes = np.broadcast_to(np.array(stack.shape[-2:]), (len(stack), 2))
            return Frames(stack, (), self.draw(split, rows, sizes=sizes, number=number))
        return self.frame_images([split.image(int(row)) for row in np.asarray(rows)], split, rows, number=number)

    def frame_images(self, images: list[Tensor], split: ImageSplit, rows: Rows, *, number: int = 0) -> Frames:
        """Crop decoded images of any size into the frames of their views."""
        sizes = np.array([image.shape[-2:] for image in images], dtype=np.int64).reshape(-1, 2)
        parameters = self.draw(split, rows, sizes=sizes, number=number)
        crops = []
        for drawn in parameters:
            stack = _room_for(images, drawn.size)
            for row, image in enumerate(images):
                stack[row] = reframe_one(image, drawn, row)
            crops.append(stack)
        return Frames(None, tuple(crops), parameters)


class EvaluationViews:
    """The static evaluation set's originals and views, the same for every checkpoint of one input size.

    An original is resized (shorter side to `resize`, default `image_size`) and cropped at the centre; images that
    have the size already stay as they are. Views come from the preset's full-size views in turn.
    """

    def __init__(
        self,
        settings: EvaluationSettings,
        image_size: int,
        *,
        resize: int | None = None,
        interpolation: str = "bilinear",
    ) -> None:
        if interpolation not in ("bilinear", "bicubic"):
            raise ConfigError("unknown interpolation", found=interpolation, hint="bilinear or bicubic")
        self.settings, self.image_size = settings, image_size
        self.resize = resize or image_size
        if self.resize < image_size:
            raise ConfigError("resize must not be below the image size", found=f"{resize} below {image_size}")
        self.interpolation: Interpolation = "bicubic" if interpolation == "bicubic" else "bilinear"
        full_size = tuple(view for view in view_preset(settings.preset) if view.size is None)
        self._views = SeededViews(
            settings=tuple(full_size[number % len(full_size)] for number in range(settings.views)),
            image_size=image_size,
            purpose="evaluation",
            seed=settings.seed,
            iou=settings.iou_bounds,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that the pixels depend on besides the images and their row ids."""
        parts = {
            "version": VIEWS_VERSION,
            "seed": self.settings.seed,
            "views": [view.model_dump(mode="json") for view in self._views.settings],
            "iou": self.settings.iou_bounds,
            "image_size": self.image_size,
            "resize": self.resize,
            "interpolation": self.interpolation,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def originals(self, split: ImageSplit, rows: Rows) -> Tensor:
        """Return the rows' original views: float [B, C, S, S] in [0, 1]."""
        if split.native_size is not None:
            return _unit(self._originals(split.images(rows)))
        return self._stacked([split.image(int(row)) for row in np.asarray(rows)])

    def views(self, split: ImageSplit, rows: Rows) -> Tensor:
        """Return the rows' augmented views: float [V, B, C, S, S] in [0, 1]."""
        return self._finished(self._views.frame(split, rows), len(np.asarray(rows)), split.channels)

    def batch(self, split: ImageSplit, rows: Rows) -> tuple[Tensor, Tensor]:
        """Return originals and views together, each image read once."""
        if split.native_size is not None:
            return self.originals(split, rows), self.views(split, rows)
        images = [split.image(int(row)) for row in np.asarray(rows)]
        frames = self._views.frame_images(images, split, rows)
        return self._stacked(images), self._finished(frames, len(images), split.channels)

    def overlaps(self, split: ImageSplit, rows: Rows) -> Uniforms:
        """Return the IoU of each later view's crop with the first view's: [V - 1, B]."""
        boxes = [drawn.boxes for drawn in self._views.frame(split, rows).parameters]
        return np.array([box_iou(boxes[0], later) for later in boxes[1:]]).reshape(-1, len(np.asarray(rows)))

    def _originals(self, images: Tensor) -> Tensor:
        size, interpolation = self.image_size, self.interpolation
        if images.shape[-2:] == (size, size):
            return images
        return resize_and_centre(images, resize=self.resize, size=size, interpolation=interpolation)

    def _stacked(self, images: list[Tensor]) -> Tensor:
        levels = _room_for(images, self.image_size)
        for row, image in enumerate(images):
            levels[row] = self._originals(image)
        return _unit(levels)

    def _finished(self, frames: Frames, count: int, channels: int) -> Tensor:
        views = frames.finish(torch.device("cpu"))
        return torch.stack(views) if views else torch.empty(0, count, channels, self.image_size, self.image_size)


def _room_for(images: list[Tensor], size: int) -> Tensor:
    """Return an empty stack [B, C, size, size] of the images' type."""
    channels, kind = (images[0].shape[0], images[0].dtype) if images else (3, torch.uint8)
    return torch.empty(len(images), channels, size, size, dtype=kind)


def _unit(images: Tensor) -> Tensor:
    """Return pixels as floats in [0, 1], planes apart; floats lie there already, but for what bicubic overshoots."""
    if images.dtype != torch.uint8:
        return images.float().clamp(0.0, 1.0)
    return torch.empty(images.shape, device=images.device).copy_(images).div_(255.0)
