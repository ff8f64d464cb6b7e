"""Accounts for every tensor between a file and a network; less than all of the network is a refusal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repdiag.checkpoints.reading.file_blocks import forget_all_pages, forget_pages
from repdiag.core.errors import CheckpointError
from repdiag.core.memory import give_back_what_is_free

_IN_FILE: ContextVar[bool] = ContextVar("weights stay in the file", default=False)
_PIECE = 2**20
_OFTEN = 2**28  # bytes of weights after which what was freed between them goes back to the system
_COUNTER = "num_batches_tracked"  # never read in eval mode, and absent from converted files
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Match:
    """Which tensors of a network the file fills, and what is left on either side."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: Mapping[str, tuple[str, str]]
    extra: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """Share of the network's tensors that the file fills."""
        total = len(self.loaded) + len(self.missing) + len(self.mismatched)
        return len(self.loaded) / total if total else 0.0

    @property
    def complete(self) -> bool:
        """Whether the whole network is filled."""
        return bool(self.loaded) and not self.missing and not self.mismatched

    def table(self) -> str:
        """Return the names that do not fit, a few of each kind."""
        rows = [f"missing     {name}" for name in self.missing[:_SHOWN]]
        rows += [
            f"mismatched  {name}: file {file}, network {network}"
            for name, (file, network) in list(self.mismatched.items())[:_SHOWN]
        ]
        rows += [f"unexpected  {name}" for name in self.extra[:_SHOWN]]
        left = len(self.missing) + len(self.mismatched) + len(self.extra) - len(rows)
        return "\n    ".join(rows + ([f"... and {left} more"] if left > 0 else []))


def match(network: nn.Module, state: Mapping[str, Tensor]) -> Match:
    """Return how a state dict fits a network."""
    wanted = network.state_dict()
    mismatched = {
        name: (_outline(state[name]), _outline(value))
        for name, value in wanted.items()
        if name in state and not _fits(state[name], value)
    }
    return Match(
        loaded=tuple(name for name in wanted if name in state and name not in mismatched),
        missing=tuple(name for name in wanted if name not in state and not name.endswith(_COUNTER)),
        mismatched=mismatched,
        extra=tuple(name for name in state if name not in wanted and not name.endswith(_COUNTER)),
    )


def _outline(value: Tensor) -> str:
    return f"{tuple(value.shape)}" + (
        "" if value.is_floating_point() else f" {str(value.dtype).removeprefix('torch.')}"
    )


def _fits(given: Tensor, wanted: Tensor) -> bool:
    """Say whether a tensor may fill another: its shape, and not integers for real numbers."""
    return given.shape == wanted.shape and given.is_floating_point() == wanted.is_floating_point()


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Make the tensors of a state dict that matches completely the network's own; they must be finite.

    Copied is what has another type, shares its memory with other tensors of the file, or lies in the file itself.
    """
    forget_all_pages()
    wanted = network.state_dict()
    taken: set[int] = set()
    values: dict[str, Tensor] = {}
    since = 0
    for name in wanted:
        value = state.get(name, wanted[name])
        if value.is_floating_point() and not _is_finite(value):
            raise CheckpointError(
                "the weights are not finite",
                found=f"NaN or infinity in {name}",
                hint="the training that wrote the file diverged, or the file is damaged: take an earlier checkpoint",
            )
        if name.endswith("running_var") and bool((value < 0).any()):
            raise CheckpointError("a variance is negative", found=name, hint="the file is damaged: take another copy")
        values[name] = _own(value, wanted[name], taken)
        forget_pages(value)
        since += value.nbytes
        if since > _OFTEN:
            give_back_what_is_free()
            since = 0
    load_strictly(network, values, assign=True)


@contextmanager
def weights_in_file() -> Iterator[None]:
    """Within, networks are filled with tensors that stay in a mapped file: for a look, not to keep."""
    token = _IN_FILE.set(True)
    try:
        yield
    finally:
        _IN_FILE.reset(token)


def _is_finite(value: Tensor) -> bool:
    """Say whether all numbers are, in pieces: torch makes several copies of what it asks."""
    return all(bool(torch.isfinite(piece).all()) for piece in torch.split(value.reshape(-1), _PIECE))


def _own(value: Tensor, wanted: Tensor, taken: set[int]) -> Tensor:
    """Return the tensor in the type wanted and in memory of its own, which no other tensor has taken."""
    found = value.detach().to(wanted.dtype).contiguous()
    if _IN_FILE.get():
        return found
    memory = found.untyped_storage()
    shared = memory.data_ptr() in taken or memory.nbytes() != found.numel() * found.element_size()
    found = found.clone() if shared else found
    taken.add(found.untyped_storage().data_ptr())
    return found


def load_strictly(network: nn.Module, values: Mapping[str, Tensor], *, assign: bool = False) -> None:
    """Load values that name every tensor of the network, by copying them or, with `assign`, by taking them over.

    Modules that changed their format over the years ask for its version and fail without one: it is their own here.
    """
    versioned = OrderedDict(values)
    versioned._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    network.load_state_dict(versioned, strict=True, assign=assign)


def refuse(found: Match, *, what: str, backbone: str, explanations: Sequence[str]) -> CheckpointError:
    """Return the error for a file that does not fill its backbone."""
    count = len(found.loaded)
    total = count + len(found.missing) + len(found.mismatched)
    return CheckpointError(
        f"{what} fills {found.fraction:.0%} of {backbone} ({count} of {total} tensors); all of them are needed",
        found="\n    " + found.table(),
        hint="; ".join(explanations[:3]),
    )
