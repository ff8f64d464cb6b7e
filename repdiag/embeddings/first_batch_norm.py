"""What a sample of images looks like at an encoder's first batch norm, for the check of how they were prepared."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder
from repdiag.core.input_statistics import GIVEN, HALVED, InputReading, InputStatistics
from repdiag.core.shapes import Float
from repdiag.data.image_split import ImageSplit
from repdiag.data.views import EvaluationViews

SAMPLE = 256
_BATCH = 64
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
# What images are prepared with in nearly all published code; the usual mistakes are one of these for another.
COMMON: dict[str, Normalisation] = {
    "ImageNet's mean and std": (IMAGENET_MEAN, IMAGENET_STD),
    "mean .5, std .5": ((0.5,) * 3, (0.5,) * 3),
    "pixels in [0, 1], nothing subtracted": ((0.0,) * 3, (1.0,) * 3),
    "pixels in [0, 255], nothing subtracted": ((0.0,) * 3, (1.0 / 255.0,) * 3),
}


def sample_images(split: ImageSplit, views: EvaluationViews, *, count: int = SAMPLE) -> Float[Tensor, "N 3 H W"]:
    """Return `count` images of the split, spread evenly over its rows, as the encoder is given them: in [0, 1]."""
    rows = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).round().astype(np.int64))
    return views.originals(split, rows)


def input_statistics(encoder: Encoder, images: Float[Tensor, "N 3 H W"]) -> InputStatistics | None:
    """Run images in [0, 1] up to the encoder's first batch norm; None for a network without one that remembers.

    Each of the common normalisations is tried beside the encoder's own: the forward pass stops at the batch norm, so
    that this costs little.

    Shapes:       images [N, 3, H, W] -> readings of [N, C], C the channels of that batch norm.
    Errors:       none of its own; what the network raises on the images passes through.
    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
        >>> _ = network(torch.rand(8, 3, 6, 6))  # in training mode: the batch norm takes note
        >>> from repdiag.checkpoints.encoder import EncoderInfo
        >>> known = dict.fromkeys(("name", "path", "sha256", "family", "backbone", "branch", "layer"), "own")
        >>> encoder = Encoder(network, EncoderInfo(**known, feature_dim=64, image_size=6, parameters=120))
        >>> input_statistics(encoder, torch.rand(8, 3, 6, 6)).layer
        '1'
    """
    mean, std = encoder.info.mean, encoder.info.std
    asked: dict[str, Normalisation] = {GIVEN: (mean, std), HALVED: (mean, tuple(2.0 * value for value in std))}
    asked |= {name: given for name, given in COMMON.items() if not _same(given, (mean, std))}
    found: list[InputReading] = []
    norm: nn.Module | None = None
    for name, (middle, spread) in asked.items():
        seen = [_at_first_batch_norm(encoder, part, middle, spread) for part in torch.split(images, _BATCH)]
        first = seen[0]
        if first is None:
            return None
        norm = first[0]
        inputs = [item[1] for item in seen if item is not None]
        found.append(
            InputReading(
                name=name,
                mean=middle,
                std=spread,
                means=torch.cat([item[0] for item in inputs]),
                squares=torch.cat([item[1] for item in inputs]),
            )
        )
    assert norm is not None
    return InputStatistics(
        layer=next(name for name, module in encoder.backbone.named_modules() if module is norm),
        running_mean=_buffer(norm, "running_mean"),
        running_var=_buffer(norm, "running_var"),
        readings=tuple(found),
    )


class _Reached(Exception):  # noqa: N818 - no error: it ends a forward pass that has shown what is wanted
    pass


@torch.inference_mode()
def _at_first_batch_norm(
    encoder: Encoder, images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[nn.Module, tuple[Tensor, Tensor]] | None:
    """Return the first batch norm that runs, and its input's mean and mean square by image and channel [B, C]."""
    reached: list[tuple[nn.Module, tuple[Tensor, Tensor]]] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        pixels = inputs[0].float().flatten(2) if inputs[0].ndim > 2 else inputs[0].float()[:, :, None]
        reached.append((module, (pixels.mean(2).cpu(), pixels.square().mean(2).cpu())))
        raise _Reached

    remembering = [module for module in encoder.backbone.modules() if _remembers(module)]
    handles = [module.register_forward_pre_hook(hook) for module in remembering]
    device = next((parameter.device for parameter in encoder.parameters()), torch.device("cpu"))
    middle, spread = (torch.tensor(value, device=device).view(1, 3, 1, 1) for value in (mean, std))
    try:
        if remembering:
            encoder((images.to(device) - middle) / spread)
    except _Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return reached[0] if reached else None


def _remembers(module: nn.Module) -> bool:
    """Say whether a module is a batch norm with statistics of some training: those of a new one are 0 and 1."""
    if not isinstance(module, nn.modules.batchnorm._BatchNorm) or module.running_var is None:
        return False
    assert module.running_mean is not None
    return not (bool((module.running_var == 1.0).all()) and bool((module.running_mean == 0.0).all()))


def _buffer(module: nn.Module, name: str) -> Tensor:
    return module.get_buffer(name).detach().float().cpu().clone()


def _same(first: Normalisation, second: Normalisation) -> bool:
    pairs = zip((*first[0], *first[1]), (*second[0], *second[1]), strict=True)
    return all(abs(one - two) < 0.03 * max(abs(two), 0.01) for one, two in pairs)
