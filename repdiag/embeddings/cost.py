"""What an encoder costs on this machine, measured by running it."""

from __future__ import annotations

import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from repdiag.checkpoints.encoder import Encoder
from repdiag.core.encoder_cost import EncoderCost

_ROUNDS, _SECONDS = 15, 2.0


def measure_cost(encoder: Encoder, *, device: str | torch.device = "cpu", batch: int = 16) -> EncoderCost:
    """Return the encoder's parameters, width, operations an image and milliseconds an image, at its own image size.

    Operations are those that torch's counter knows (convolutions, matrix products, attention), two for a
    multiplication and an addition. The time is the median of up to 15 batches in float32 after one to warm up, at most
    two seconds in all.

    Example:
        >>> from torch import nn
        >>> from repdiag.checkpoints.encoder import EncoderInfo
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
        >>> known = dict.fromkeys(("name", "path", "sha256", "family", "backbone", "branch", "layer"), "own")
        >>> cost = measure_cost(Encoder(network, EncoderInfo(**known, feature_dim=4, image_size=2, parameters=52)))
        >>> cost.parameters, cost.width, cost.gflops
        (52, 4, 9.6e-08)
    """
    place = torch.device(device)
    encoder.to(place)
    size = encoder.info.image_size
    images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(place)
    with torch.inference_mode():
        width = int(encoder(images).shape[1])
        times = _times(encoder, images)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(images[:1])
    return EncoderCost(
        # A graph of another runtime has no parameters of torch, and its operations are not counted.
        parameters=sum(parameter.numel() for parameter in encoder.backbone.parameters()) or encoder.info.parameters,
        width=width,
        gflops=None if encoder.info.family == "onnx" else counter.get_total_flops() / 1e9,
        ms_per_image=1000.0 * statistics.median(times) / batch,
        device=str(place),
        threads=torch.get_num_threads() if place.type == "cpu" else None,
        batch=batch,
    )


def _times(encoder: Encoder, images: torch.Tensor) -> list[float]:
    found: list[float] = []
    while not found or (len(found) < _ROUNDS and sum(found) < _SECONDS):
        started = time.perf_counter()
        encoder(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return found
