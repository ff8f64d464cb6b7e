"""What becomes of the last map of a convolutional network: its mean, its maximum, both, or GeM."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from repdiag.core.errors import CheckpointError
from repdiag.core.shapes import Float

_POWER = 3.0  # of GeM, where the file has none of its own
_LEAST = 1e-6  # what GeM clamps maps to
_IN_TIMM = {
    "mean": "avg",
    "max": "max",
    "mean+max": "avgmax",
    "mean,max": "catavgmax",
    "map": "map",
    "token": "token",
}
_OF_MAPS = ("mean", "max", "mean+max", "mean,max", "max,mean", "gem")
NAMES_OF_TIMM = {name: ours for ours, name in _IN_TIMM.items()} | {"fast": "mean", "fastavg": "mean", "fastmax": "max"}


class MapPooling(nn.Module):
    """Maps [B, D, H, W] -> [B, D, 1, 1]; "mean+max" is half the sum of both, the pairs have 2D channels."""

    def __init__(self, kind: str, *, power: float = _POWER) -> None:
        super().__init__()
        self.kind, self.power = kind, power

    def forward(self, maps: Float[Tensor, "B D H W"]) -> Float[Tensor, "B P 1 1"]:
        """Return the pooled maps."""
        if self.kind == "gem":
            raised: Tensor = maps.clamp(min=_LEAST).pow(self.power).mean((2, 3), keepdim=True)
            return raised.pow(1.0 / self.power)
        mean, most = maps.mean((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
        both = {"mean,max": (mean, most), "max,mean": (most, mean)}
        if self.kind in both:
            return torch.cat(both[self.kind], dim=1)
        return {"mean": mean, "max": most, "mean+max": 0.5 * (mean + most)}[self.kind]


def repool(network: nn.Module, kind: str, *, power: float = _POWER) -> nn.Module:
    """Return the network with another pooling. Raises `CheckpointError` where its pooling is not to be changed."""
    if isinstance(getattr(network, "avgpool", None), nn.Module) and kind in _OF_MAPS:
        network.avgpool = MapPooling(kind, power=power)
        return network
    pools = getattr(network, "global_pool", None)
    if isinstance(pools, nn.Module) and kind in ("gem", "max,mean"):
        network.global_pool = nn.Sequential(MapPooling(kind, power=power), nn.Flatten(1))
        return network
    reset = getattr(network, "reset_classifier", None)
    if callable(reset) and kind in _IN_TIMM:
        try:
            reset(0, _IN_TIMM[kind])
        except (AssertionError, TypeError, ValueError, RuntimeError) as error:
            raise _refused(kind, str(error)) from error
        return network
    raise _refused(kind, type(network).__name__)


def _refused(kind: str, found: str) -> CheckpointError:
    return CheckpointError(
        f"the features of this network cannot be pooled by {kind}",
        found=found[:120],
        hint="another --pool, or --backbone your_file.py:function",
    )


def gem_power(state: Mapping[str, Tensor]) -> tuple[str, float] | None:
    """Return the one tensor that is the exponent of a GeM pooling, if there is one: a single number called `p`."""
    found = [
        name
        for name, value in state.items()
        if name.rpartition(".")[2] == "p" and value.numel() == 1 and value.is_floating_point()
    ]
    if len(found) != 1 or ("pool" not in found[0].lower() and "gem" not in found[0].lower()):
        return None
    power = float(state[found[0]])
    return (found[0], power) if 0.5 <= power <= 20.0 and torch.isfinite(torch.tensor(power)) else None
