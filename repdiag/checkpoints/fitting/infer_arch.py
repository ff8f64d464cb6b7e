"""Which network has tensors of these names and shapes; several that differ in output are a question for the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.beits import beit_candidates
from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.convnexts import convnext_candidates
from repdiag.checkpoints.architectures.densenets import densenet_candidates
from repdiag.checkpoints.architectures.look_alikes import look_alikes, named_in
from repdiag.checkpoints.architectures.named import candidate_by_name, named_candidates, resized
from repdiag.checkpoints.architectures.resnets import resnet_candidates
from repdiag.checkpoints.architectures.said import as_said
from repdiag.checkpoints.architectures.small_image_vggs import small_image_vgg
from repdiag.checkpoints.architectures.swins import swin_candidates
from repdiag.checkpoints.architectures.transformers import has_other_layers, transformer_candidates
from repdiag.checkpoints.fitting.match import Match, fill, match
from repdiag.checkpoints.fitting.stem_channels import with_channels_of
from repdiag.checkpoints.fitting.unfilled import build_outline, build_unfilled
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError
from repdiag.core.own_code import is_own_code
from repdiag.models.backbones import input_channels

_SAME = 1e-5
_MOST_BUILT = 12
_SPARE = 1_000_000  # numbers that a network may have beyond what a file could fill
_TIMES = 4


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A candidate that was built, with how the tensors fit it; the network is filled when they fit completely."""

    candidate: Candidate
    network: nn.Module
    match: Match
    given: Mapping[str, Tensor]


def candidates(
    state: Mapping[str, Tensor], facts: Facts, *, recorded: str | None = None, library: str | None = None
) -> Iterator[list[Candidate]]:
    """Give the architectures that a state dict under known names could belong to: what to try first, then second.

    `library` is the file's name where its network may be any of timm's and torchvision's, some of which have a plain
    network's tensors and compute something else; None where the family has plain networks only.
    """
    known = (recorded or "").rpartition(":")[2].removeprefix("timm/").partition(".")[0]

    def said(candidate: Candidate) -> Candidate:
        proven = library is None or candidate.name.rpartition(":")[2] == known
        return as_said(candidate, facts, state=state, proven=proven)

    if has_other_layers(state) and (named := named_candidates(state, recorded, facts.arch_like)):
        yield [said(candidate) for candidate in named]
        return
    structural = transformer_candidates(state, facts) or resnet_candidates(state, facts)
    if structural and library is not None:
        structural = _plain_or_not(state, structural, facts, recorded=recorded, file_name=library)
    yield structural
    named = named_candidates(state, recorded, facts.arch_like)  # last: it imports all of timm
    yield [small_image_vgg(said(candidate), state) for candidate in named]
    if not named:  # of depths that no library gives a name
        for found in (swin_candidates, convnext_candidates, densenet_candidates, _beits):
            if others := found(state, facts):
                yield others
                break


def _beits(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return BEiT's network where its own tensors are there: others, such as EVA's, have the same blocks."""
    is_beit = any(name.endswith("relative_position_bias_table") for name in state)
    return beit_candidates(state, facts) if is_beit else []


def _plain_or_not(
    state: Mapping[str, Tensor], plain: list[Candidate], facts: Facts, *, recorded: str | None, file_name: str
) -> list[Candidate]:
    """Return the plain network, the one that only looks like it, or both for `fit` to compare and ask."""
    same, others = look_alikes(state)
    said = named_in(recorded or file_name, [*same, *others])
    if not others or said in same or recorded == plain[0].name:
        return plain
    if said in others:
        return [as_said(candidate_by_name(said), facts)]
    if not same:
        return [as_said(candidate_by_name(name), facts) for name in others]
    if "conv1.weight" in state:  # plain ResNets are so much more usual that asking would be a nuisance
        unlike = (
            f"a plain ResNet is assumed; --backbone NAME if it is {' or '.join(others)}, which has the same tensors"
        )
        return [replace(item, assumptions=(*item.assumptions, unlike)) for item in plain]
    return [*plain, *(as_said(candidate_by_name(name), facts) for name in others)]


def fit(state: Mapping[str, Tensor], options: Sequence[Candidate], *, file_name: str = "") -> Fitted:
    """Return the one candidate that the tensors fill; refuse when several do and they are not the same function."""
    fitted: list[Fitted] = []
    own_names = state
    for candidate in options[:_MOST_BUILT]:
        state = candidate.tensors or own_names
        network = _built(candidate, state)
        found = match(network, state)
        if not found.complete and not found.missing and (other := resized(candidate, state)) is not None:
            candidate, network = other, _built(other, state)  # noqa: PLW2901 - the same at another image size
            found = match(network, state)
        if not found.complete and (other := with_channels_of(candidate, network, state)) is not None:
            candidate, network = other, _built(other, state)  # noqa: PLW2901
            found = match(network, state)
        if found.complete:
            network = _filled(candidate, network, state)
        fitted.append(Fitted(candidate=candidate, network=network, match=found, given=state))
    complete = [item for item in fitted if item.match.complete]
    if not complete:
        return max(fitted, key=lambda item: item.match.fraction)
    named = [item for item in complete if item.candidate.name.rpartition(":")[2] in file_name]
    if len(complete) == 1 or named:
        return max(named or complete, key=lambda item: len(item.candidate.name) if named else 0)
    return _only_one(complete)


def _filled(candidate: Candidate, outline: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Return the network with the tensors of a file as its weights; none are drawn before where its code allows it."""
    if not _is_of_user(candidate):  # whose outline was built with values
        outline = build_unfilled(candidate.build) or candidate.build().eval()
    fill(outline, state)
    return outline


def _is_of_user(candidate: Candidate) -> bool:
    return is_own_code(candidate.name) and not candidate.name.startswith(("timm:", "torchvision:"))


def _built(candidate: Candidate, state: Mapping[str, Tensor]) -> nn.Module:
    """Return the network to compare with; what a user's own code does while it builds is done once, and in full."""
    try:
        if _is_of_user(candidate):
            return candidate.build().eval()
        outline = build_outline(candidate.build)
    except (RuntimeError, AssertionError, ValueError, TypeError, KeyError) as error:  # what libraries raise for a shape
        raise CheckpointError(
            f"{candidate.name} cannot be built for these tensors",
            found=f"{type(error).__name__}: {error}".partition("\n")[0][:160],
            hint="name the architecture with --backbone NAME or --backbone your_file.py:function",
        ) from error
    if candidate.recorded:
        _expect_size(candidate, outline, state)
    return outline


def _expect_size(candidate: Candidate, outline: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` for a network of recorded settings that is far larger than its file."""
    wanted = sum(value.numel() for value in outline.state_dict().values())
    given = sum(value.numel() for value in state.values())
    if wanted > _TIMES * given + _SPARE:
        raise CheckpointError(
            f"the recorded settings of {candidate.name} are not of this file",
            found=f"a network of {wanted:,} numbers, and {given:,} in the file",
            hint="correct the settings file, or remove it",
        )


def _only_one(fitted: Sequence[Fitted]) -> Fitted:
    """Return the first if all give the same features on a fixed image; else ask, with the measured difference."""
    size = fitted[0].candidate.image_size or 224
    channels = input_channels(fitted[0].network) or 3
    image = torch.linspace(-2.0, 2.0, channels * size * size).sin().reshape(1, channels, size, size)
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
