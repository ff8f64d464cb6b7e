"""Networks for images of other than three channels: the first convolution takes as many as the file's tensor has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate


def with_channels_of(candidate: Candidate, network: nn.Module, state: Mapping[str, Tensor]) -> Candidate | None:
    """Return the candidate with its first convolution for the file's channels; None where it has these already."""
    found = next(((name, one) for name, one in network.named_modules() if isinstance(one, nn.Conv2d)), None)
    if found is None:
        return None
    name, stem = found
    given, wanted = state.get(f"{name}.weight"), stem.weight
    if given is None or given.ndim != wanted.ndim or stem.groups != 1:
        return None
    channels, rest = given.shape[1], (given.shape[0], *given.shape[2:])
    if channels == wanted.shape[1] or rest != (wanted.shape[0], *wanted.shape[2:]):
        return None
    said = f"the images have {channels} channels, as the first convolution shows"
    return replace(
        candidate,
        build=lambda: _with_channels(candidate.build(), name, channels),
        assumptions=(*candidate.assumptions, said),
    )


def _with_channels(network: nn.Module, name: str, channels: int) -> nn.Module:
    stem = network.get_submodule(name)
    assert isinstance(stem, nn.Conv2d)
    stem.in_channels = channels
    old = stem.weight
    stem.weight = nn.Parameter(torch.zeros(old.shape[0], channels, *old.shape[2:], device=old.device, dtype=old.dtype))
    return network
