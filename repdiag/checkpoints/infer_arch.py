"""Which network has tensors of these names and shapes; several that differ in output are a question for the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.named import named_candidates
from repdiag.checkpoints.architectures.resnets import resnet_candidates
from repdiag.checkpoints.architectures.transformers import has_other_layers, transformer_candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.match import Match, fill, match
from repdiag.core.errors import CheckpointError

_SAME = 1e-5
_MOST_BUILT = 12


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A candidate that was built, with how the tensors fit it; the network is filled when they fit completely."""

    candidate: Candidate
    network: nn.Module
    match: Match
    given: Mapping[str, Tensor]


def candidates(state: Mapping[str, Tensor], facts: Facts, *, recorded: str | None = None) -> list[Candidate]:
    """Return the architectures that a state dict under known names could belong to."""
    structural = transformer_candidates(state, facts) or resnet_candidates(state, facts)
    if structural and has_other_layers(state):
        return named_candidates(state, recorded, facts.arch_like) or structural
    return structural or named_candidates(state, recorded, facts.arch_like)


def fit(state: Mapping[str, Tensor], options: Sequence[Candidate], *, file_name: str = "") -> Fitted:
    """Return the one candidate that the tensors fill; refuse when several do and they are not the same function."""
    fitted: list[Fitted] = []
    for candidate in options[:_MOST_BUILT]:
        network = _built(candidate)
        found = match(network, state)
        if found.complete:
            fill(network, state)
        fitted.append(Fitted(candidate=candidate, network=network, match=found, given=state))
    complete = [item for item in fitted if item.match.complete]
    if not complete:
        return max(fitted, key=lambda item: item.match.fraction)
    named = [item for item in complete if item.candidate.name.rpartition(":")[2] in file_name]
    if len(complete) == 1 or named:
        return max(named or complete, key=lambda item: len(item.candidate.name) if named else 0)
    return _only_one(complete)


def _built(candidate: Candidate) -> nn.Module:
    try:
        return candidate.build().eval()
    except (RuntimeError, AssertionError, ValueError, TypeError, KeyError) as error:  # what libraries raise for a shape
        raise CheckpointError(
            f"{candidate.name} cannot be built for these tensors",
            found=f"{type(error).__name__}: {error}".partition("\n")[0][:160],
            hint="name the architecture with --backbone NAME or --backbone your_file.py:function",
        ) from error


def _only_one(fitted: Sequence[Fitted]) -> Fitted:
    """Return the first if all give the same features on a fixed image; else ask, with the measured difference."""
    size = fitted[0].candidate.image_size or 224
    image = torch.linspace(-2.0, 2.0, 3 * size * size).sin().reshape(1, 3, size, size)
    with torch.no_grad():
        features = [item.network(image) for item in fitted]
    scale = features[0].abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    apart = [
        float((other - features[0]).abs().max() / scale) if other.shape == features[0].shape else float("inf")
        for other in features
    ]
    if max(apart) <= _SAME:
        return fitted[0]
    shown = ", ".join(f"{item.candidate.name} ({gap:.2g})" for item, gap in zip(fitted, apart, strict=True))
    raise CheckpointError(
        "several architectures have tensors of exactly these shapes and give different features",
        found=f"{shown}; in brackets: relative difference from the first",
        hint="name the right one with --backbone NAME",
    )
