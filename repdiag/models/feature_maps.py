"""Maps of a network at several strides, as detectors read them: from a table for known trunks, else from timm."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import nn

from repdiag.core.errors import UsageError
from repdiag.core.shapes import Float, Tensor

_STAGES = ("layer1", "layer2", "layer3", "layer4")


def feature_maps(trunk: nn.Module, images: Float[Tensor, "B C H W"]) -> dict[int, Tensor]:
    """Return {stride: map [B, E, H / stride, W / stride]}, the last map of each stride, fine to coarse.

    ResNets are read after each stage, torchvision's mobile networks after each block of `features`, a chain of layers
    after each of them, timm's networks where timm reads them. Never inside a block, where an expansion's map may be the
    last of its stride. A transformer without stages has one map. Raises `UsageError` for a network of unknown make.
    """
    trunk = unwrapped(trunk)
    if hasattr(trunk, "forward_intermediates"):
        found = trunk.forward_intermediates(images, intermediates_only=True, output_fmt="NCHW")  # type: ignore[operator]
    else:
        with _collected(_blocks(trunk)) as found:
            trunk(images)
    by_stride: dict[int, Tensor] = {}
    for one in found:
        if isinstance(one, Tensor) and one.ndim == 4 and min(one.shape[-2:]) > 1:
            by_stride[2 ** round(math.log2(images.shape[-1] / one.shape[-1]))] = one
    if not by_stride:
        raise UsageError("the feature maps of this network cannot be read", found=type(trunk).__name__)
    return dict(sorted(by_stride.items()))


def unwrapped(trunk: nn.Module) -> nn.Module:
    """Return the network inside wrappers that hold one part and nothing else."""
    while not isinstance(trunk, nn.Sequential) and not hasattr(trunk, "forward_intermediates"):
        inside = list(trunk.children())
        if len(inside) != 1 or any(True for _ in trunk.parameters(recurse=False)):
            break
        trunk = inside[0]
    return trunk


def _blocks(trunk: nn.Module) -> list[nn.Module]:
    """Return the parts whose outputs are maps to read."""
    stages = [getattr(trunk, name) for name in _STAGES if isinstance(getattr(trunk, name, None), nn.Module)]
    if stages:
        return stages
    features = getattr(trunk, "features", trunk)
    if isinstance(features, nn.Sequential):
        return list(features)
    raise UsageError(
        f"where a {type(trunk).__name__} has its maps is not known",
        hint="a ResNet, a mobile network of torchvision, a chain of layers, or a network of timm",
    )


@contextlib.contextmanager
def _collected(blocks: list[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """Give a list that fills with the blocks' outputs while the network runs."""
    found: list[torch.Tensor] = []
    handles = [block.register_forward_hook(lambda _, __, out: found.append(out)) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
