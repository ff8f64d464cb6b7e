"""Activations by name: of a transformer's layers, or put in the place of those that a network was built with."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

# What libraries call the same function.
_SAME = {
    "gelu": "gelu",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "quickgelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


def known_activation(name: object) -> str | None:
    """Return our name for an activation as a settings file has it; None for one that is not known."""
    return _SAME.get(name.lower()) if isinstance(name, str) else None


def activation_layer(name: str) -> Callable[[], nn.Module]:
    """Return the class of an activation."""
    from timm.layers.activations import QuickGELU

    made: dict[str, Callable[[], nn.Module]] = {
        "gelu": nn.GELU,
        "gelu_tanh": GELUTanh,
        "quick_gelu": QuickGELU,
        "relu": nn.ReLU,
        "silu": nn.SiLU,
    }
    return made[name]


class GELUTanh(nn.GELU):
    """GELU by its approximation with a hyperbolic tangent."""

    def __init__(self) -> None:
        super().__init__(approximate="tanh")


def replace_activations(network: nn.Module, name: str) -> None:
    """Put an activation in the place of every ReLU, SiLU and GELU of a network."""
    from timm.layers.activations import QuickGELU

    layer = activation_layer(name)
    for module in list(network.modules()):
        for key, child in list(module.named_children()):
            if isinstance(child, nn.ReLU | nn.SiLU | nn.GELU | QuickGELU):
                setattr(module, key, layer())
