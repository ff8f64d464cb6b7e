"""Networks without their weights: built to be compared with a file, or to take the file's tensors as their own.

Drawing the initial weights of a large network takes minutes and as much memory as the file; here neither is spent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from repdiag.models.backbones import input_channels
from repdiag.models.network_libraries import without_compiler

_DRAWS = (nn.init.normal_, torch.Tensor.normal_, torch.Tensor.erfinv_, torch.Tensor.clamp_)
_SCALES = (torch.Tensor.mul, torch.Tensor.mul_, torch.Tensor.__mul__, torch.Tensor.__rmul__)
_LARGE = 100e6 * 224**2  # parameters times pixels: a second of one core


def build_outline(build: Callable[[], nn.Module]) -> nn.Module:
    """Return the network with names and shapes only: every tensor on the meta device, if its code allows that.

    >>> build_outline(lambda: nn.Linear(2, 3)).weight.is_meta
    True
    """
    try:
        with torch.device("meta"), _NoDraws(), without_compiler():
            return build().eval()
    except Exception:  # code that needs values while it builds fails in many ways; it gets them in the other builds
        return build_unfilled(build) or build().eval()


def build_unfilled(build: Callable[[], nn.Module]) -> nn.Module | None:
    """Return the network with parameters on the meta device and computed buffers, ready to take a file's tensors.

    None where its code computes something from the parameters while it builds, so that only a whole build is right.
    """
    try:
        with _parameters_without_values(), _NoDraws():
            network = build().eval()
    except Exception:  # as above
        return None
    return None if any(buffer.is_meta for buffer in network.buffers()) else network


class _NoDraws(TorchFunctionMode):
    """Within, the steps that draw normal numbers, or scale them, are left out where there are no numbers.

    torch has no kernel for them on the meta device: it would load its compiler, 160 MB, to find a shape that is known.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        drawn = (args[0] if args else given["tensor"]) if func in _DRAWS else None
        if func in _SCALES and len(args) == 2 and isinstance(args[1], float) and args[0].is_floating_point():
            drawn = args[0]
        return drawn if drawn is not None and drawn.is_meta else func(*args, **given)


@contextmanager
def _parameters_without_values() -> Iterator[None]:
    """Within, every parameter that a module registers loses its values at once, before anything draws them."""
    register = nn.Module.register_parameter

    def register_without_values(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        register(self, name, param)
        held = self._parameters.get(name)
        if held is not None and not held.is_meta:
            self._parameters[name] = nn.Parameter(held.detach().to("meta"), requires_grad=held.requires_grad)

    nn.Module.register_parameter = register_without_values  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def width_of_output(network: nn.Module, size: int) -> int:
    """Return the length of the vector that the network gives for an image [1, C, size, size].

    A large network or image is run on a few patches where it takes any number of them, else on shapes alone, which
    takes a second where the numbers would take a minute.
    """
    large = sum(parameter.numel() for parameter in network.parameters()) * size**2 > _LARGE
    channels = input_channels(network) or 3
    with torch.no_grad():
        for of_shapes in (_on_few_patches, _on_meta_device, _on_fake_tensors) if large else ():
            try:
                return _width(of_shapes(network, (1, channels, size, size)))
            except Exception:  # operations that need numbers have them below, where what fails says why
                continue
        return _width(network(torch.zeros(1, channels, size, size)))


def _on_few_patches(network: nn.Module, shape: tuple[int, ...]) -> Any:
    """Return what a transformer for any number of patches makes of 2 x 2; `ValueError` for other networks and sizes.

    Running a large network on shapes loads torch's algebra, 60 MB, which this spares.
    """
    patches: Any = getattr(network, "patch_embed", None)
    side = getattr(patches, "patch_size", None)
    if getattr(patches, "strict_img_size", True) or not isinstance(side, tuple):
        raise ValueError("its patches are of one number")
    if any(size % step or size < 2 * step for size, step in zip(shape[2:], side, strict=True)):
        raise ValueError("the image is not cut into patches")
    return network(torch.zeros(*shape[:2], *(2 * step for step in side)))


def _on_meta_device(network: nn.Module, shape: tuple[int, ...]) -> Any:
    state = {name: value.detach().to("meta") for name, value in (*network.named_parameters(), *network.named_buffers())}
    with without_compiler():
        return functional_call(network, state, (torch.zeros(shape, device="meta"),))


def _on_fake_tensors(network: nn.Module, shape: tuple[int, ...]) -> Any:
    """Return what the network makes of a shape where its code has tensors of its own; this loads torch's compiler."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        return network(torch.zeros(shape))


def _width(features: object) -> int:
    if not isinstance(features, torch.Tensor) or features.ndim != 2:
        found = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
        raise ValueError(f"it gives {found} and not features [B, D]")
    return int(features.shape[1])
