"""A library's network with what somebody said of it: pooling, activation, stem, heads; and these as facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import Tensor, nn

from repdiag.checkpoints.architectures.activations import replace_activations
from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.named import candidate_by_name
from repdiag.checkpoints.architectures.pooling import repool
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError

_OWN = "the network's own"
_SAID = {"told", "recorded", "tensors"}
_POOLS = ("maxpool", "pool0")  # what libraries call the pooling of a stem


def as_said(
    candidate: Candidate, facts: Facts, *, state: Mapping[str, Tensor] | None = None, proven: bool = True
) -> Candidate:
    """Return a network of a library with the pooling, activation, stem and heads that somebody said.

    What nobody said is the network's own; `proven` says that its name was recorded and not only found by shapes, which
    a network with another pooling, activation or stem has as well. `state` shows whether there is a stem.
    """
    library, _, short = candidate.name.rpartition(":")
    own = Origin("names", short) if proven else ASSUMED
    changes: list[Callable[[nn.Module], object]] = []
    found = [Fact.of("pooling", _OWN, own, flag="--pool"), Fact.of("activation", _OWN, own, flag="--activation")]
    if facts.pool and facts.origin_of("pool").source in _SAID:
        kind, power = facts.pool, facts.gem_power
        changes.append(lambda network: repool(network, kind, power=power))
        found[0] = Fact.of("pooling", kind, facts.origin_of("pool"), flag="--pool")
    if facts.activation and facts.origin_of("activation").source in _SAID:
        name = facts.activation
        changes.append(lambda network: replace_activations(network, name))
        found[1] = Fact.of("activation", name, facts.origin_of("activation"), flag="--activation")
    if facts.stem_stride is not None and facts.origin_of("stem_stride").source == "told":
        stride, pool = facts.stem_stride, facts.stem_pool is not False
        changes.append(lambda network: _set_stem(network, stride, pool=pool))
        value = f"stride {stride}, {'pooling as the network has it' if pool else 'no max-pool'}"
        found.append(Fact.of("stem", value, facts.origin_of("stem_stride"), flag="--stem"))
    elif state is not None and _has_stem(state):
        found.append(Fact.of("stem and strides", _OWN, own, flag="--stem"))
    build = candidate.build
    if facts.heads and facts.origin_of("heads").source == "told" and library != "torchvision":
        build = candidate_by_name(candidate.name, {"num_heads": next(iter(facts.heads.values()))}).build
        found.append(Fact.of("attention heads", next(iter(facts.heads.values())), facts.origin_of("heads")))

    def built() -> nn.Module:
        network = build()
        for change in changes:
            change(network)
        return network

    return replace(candidate, build=built, facts=(*candidate.facts, *found))


def _set_stem(network: nn.Module, stride: int, *, pool: bool) -> None:
    """Give the first convolution another stride, and take the max-pool after it away where there shall be none."""
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.kernel_size == first.stride:  # the latter are patches
        raise CheckpointError("this network has no strided stem", hint="leave --stem out")
    first.stride = (stride, stride)  # its padding is that of its size already
    if pool:
        return
    for module in list(network.modules()):
        for name in _POOLS:
            if isinstance(getattr(module, name, None), nn.MaxPool2d | nn.AvgPool2d):
                setattr(module, name, nn.Identity())


def _has_stem(state: Mapping[str, Tensor]) -> bool:
    """Say whether the first convolution is a strided one of a convolutional network, and not of patches."""
    first = next(((name, value) for name, value in state.items() if value.ndim == 4), None)
    return first is not None and first[1].shape[-1] in (3, 5, 7) and "patch_embed" not in first[0]
