"""How a vision transformer cuts its patches: one convolution, or a stack of strided ones (MoCo v3's `vit_conv`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

_LAYER = re.compile(r"patch_embed\.proj\.(\d+)\.weight$")


@dataclass(frozen=True, kw_only=True)
class PatchStem:
    """The side of a patch, and the widths of the strided 3x3 convolutions before the last 1x1 one (none: plain)."""

    patch_size: int
    width: int
    bias: bool
    strided: tuple[int, ...] = ()

    def build(self) -> nn.Module | None:
        """Return the stack that takes the place of the plain convolution; None for a plain one."""
        if not self.strided:
            return None
        layers: list[nn.Module] = []
        before = 3
        for width in self.strided:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        return nn.Sequential(*layers, nn.Conv2d(before, self.width, 1, bias=self.bias))


def patch_stem(state: Mapping[str, Tensor]) -> PatchStem | None:
    """Return the stem that the tensors make up, or None where there is none that is known."""
    plain = state.get("patch_embed.proj.weight")
    if any(name.startswith("patch_embed.backbone.") for name in state):
        return None  # a hybrid: the patches of a convolutional network's maps
    if plain is not None:
        bias = "patch_embed.proj.bias" in state
        return PatchStem(patch_size=plain.shape[2], width=plain.shape[0], bias=bias) if plain.ndim == 4 else None
    places = sorted(int(match[1]) for match in map(_LAYER.match, state) if match)
    kernels = [value for place in places if (value := state[f"patch_embed.proj.{place}.weight"]).ndim == 4]
    if len(kernels) < 2 or kernels[-1].shape[2] != 1 or any(kernel.shape[2] != 3 for kernel in kernels[:-1]):
        return None
    return PatchStem(
        patch_size=2 ** (len(kernels) - 1),
        width=kernels[-1].shape[0],
        bias=f"patch_embed.proj.{places[-1]}.bias" in state,
        strided=tuple(kernel.shape[0] for kernel in kernels[:-1]),
    )
