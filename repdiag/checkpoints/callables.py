"""Anything callable as an encoder: a module in memory, a function around an ONNX session, a client of a service."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, EncoderInfo
from repdiag.core.arrays import to_floating
from repdiag.core.errors import CheckpointError, UsageError


class _Called(nn.Module):
    """Calls what is not a module of ours, and makes sure of what comes back."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self._identity = uuid.uuid4().hex

    def forward(self, images: Tensor) -> Tensor:
        answer = self.function(images)
        learns = isinstance(answer, Tensor) and answer.requires_grad and answer.itemsize > 1
        # What gradients flow through stays as it is: a copy would cut fine-tuning off from the network.
        found = answer if learns else to_floating("the output of the encoder", answer)
        if found.ndim != 2 or len(found) != len(images):
            raise CheckpointError(
                "an encoder must return features [B, D]",
                found=f"shape {tuple(found.shape)} for {len(images)} images",
                hint="pool first: lambda images: model(images).last_hidden_state[:, 0], for one",
            )
        return found

    def extra_repr(self) -> str:
        # Nothing of a function can be compared with what it was before: its embeddings are never taken from the cache.
        return self._identity


def encoder_of_callable(
    function: Callable[[Tensor], Any],
    *,
    image_size: int | None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    name: str | None = None,
) -> Encoder:
    """Return the encoder that calls `function` with normalised images [B, 3, S, S] for features [B, D].

    A module is put in eval mode. Without `mean` and `std` images are normalised as ImageNet's are.
    """
    if image_size is None:
        raise UsageError("an encoder in memory does not say its input size", hint="give image_size=224, for one")
    module = function if isinstance(function, nn.Module) else None
    called = _Called(function)
    if module is not None:
        module.eval()
    weights = [] if module is None else list(module.parameters())
    device = weights[0].device if weights else torch.device("cpu")
    info = EncoderInfo(
        name=name or str(getattr(function, "__name__", type(function).__name__)),
        path="",
        sha256="",
        family="in memory",
        backbone=type(function).__name__,
        branch="online",
        layer="output",
        feature_dim=0,
        image_size=image_size,
        mean=mean or IMAGENET_MEAN,
        std=std or IMAGENET_STD,
        parameters=sum(weight.numel() for weight in weights),
    )
    with torch.inference_mode():
        width = called(torch.zeros(1, 3, image_size, image_size, device=device)).shape[1]
    return Encoder(called, replace(info, feature_dim=width))
