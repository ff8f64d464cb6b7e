"""The same encoder in a form that runs faster: batch norm folded into convolutions, channels last, bfloat16 units."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from repdiag.checkpoints.encoder import Encoder
from repdiag.core.shapes import Float

# Folding changes roundings alone; where a convolution is read a second time, the difference is larger.
_ROUNDING = 1e-4


class FastEncoder(Encoder):
    """A faster copy of an encoder; features are float32 whatever the arithmetic, and so is the projector."""

    def __init__(self, encoder: Encoder, *, dtype: torch.dtype) -> None:
        backbone = fold_batch_norms(encoder.backbone, image_size=encoder.info.image_size)
        backbone = backbone.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(backbone, encoder.info, encoder.projector)
        self.dtype = dtype

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Return the features, before any projector and not normalised."""
        features: Tensor = self.backbone(images.to(dtype=self.dtype, memory_format=torch.channels_last))
        return features.float()


def fast_type(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device multiplies it faster than float32, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    units = device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if units else torch.float32


def fold_batch_norms(network: nn.Module, *, image_size: int) -> nn.Module:
    """Return a copy in eval mode whose convolutions contain the batch norms behind them; exact but for rounding.

    A pair is one convolution whose output, in a trial run, is the batch norm's input, each run once. A copy that then
    gives other features than the original is thrown away: the copy returned has its batch norms.
    """
    plain = copy.deepcopy(network)
    weight = next(plain.parameters(), None)
    device = torch.device("cpu") if weight is None else weight.device
    images = torch.rand(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0)).to(device)
    folded = copy.deepcopy(plain)
    with torch.no_grad():
        for before, after in list(_pairs(folded, images)):
            _fold(folded, before, after)
        expected, found = plain(images), folded(images)
    same = (found - expected).norm() <= _ROUNDING * expected.norm()
    return folded if bool(same) else plain


def _pairs(network: nn.Module, images: Tensor) -> Iterator[tuple[str, str]]:
    """Yield the names of each convolution and the batch norm that reads its output."""
    calls: dict[str, int] = {}
    outputs: list[tuple[str, Tensor]] = []  # holds the tensors, so that no two have one identity
    readers: dict[str, list[str]] = {}

    def watch(name: str) -> None:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(module, nn.Conv2d):
                outputs.append((name, output))
                return
            for convolution, made in outputs:
                if made is inputs[0]:
                    readers.setdefault(convolution, []).append(name)

        handles.append(network.get_submodule(name).register_forward_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            watch(name)
    network(images)
    for handle in handles:
        handle.remove()
    for convolution, names in readers.items():
        if len(names) == 1 and calls[convolution] == calls[names[0]] == 1:
            yield convolution, names[0]


def _fold(network: nn.Module, convolution: str, batch_norm: str) -> None:
    before, after = network.get_submodule(convolution), network.get_submodule(batch_norm)
    assert isinstance(before, nn.Conv2d)
    assert isinstance(after, nn.BatchNorm2d)
    if after.running_mean is None or after.running_var is None:
        return  # it takes the statistics of the batch
    network.set_submodule(convolution, fuse_conv_bn_eval(before, after))
    # timm's batch norms bring dropout and activation along.
    rest = [part for part in (getattr(after, "drop", None), getattr(after, "act", None)) if isinstance(part, nn.Module)]
    network.set_submodule(batch_norm, nn.Sequential(*rest).eval())
