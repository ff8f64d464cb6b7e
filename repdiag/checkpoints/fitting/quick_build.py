"""Builds networks without drawing their weights: the file brings them, and drawing those of a large one takes a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.core.errors import CheckpointError

_DRAWS = (torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.bernoulli_, torch.Tensor.exponential_)
_SPARE = 1_000_000  # parameters that a network may have beyond what a file could fill
_TIMES = 4


class _WithoutDraws(TorchFunctionMode):
    """Leaves tensors that are drawn as they were allocated, and skips what is done to them in place afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn: dict[int, Tensor] = {}  # held, so that no other tensor gets the same id

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        first = args[0] if args else None
        if isinstance(first, Tensor):
            if func in _DRAWS:
                self._drawn[id(first)] = first
                return first
            name = getattr(func, "__name__", "")
            if id(first) in self._drawn and name.endswith("_") and not name.endswith("__") and name != "requires_grad_":
                return first
        return func(*args, **(kwargs or {}))


def build_unfilled(candidate: Candidate, *, numbers: int) -> nn.Module:
    """Return a candidate's network in eval mode, its weights undefined; `numbers` is how many the file holds.

    Raises `CheckpointError` where it cannot be built, or where it is far larger than the file could fill.
    """
    try:
        with torch.no_grad():
            _expect_size(candidate, numbers)
            with _WithoutDraws():
                return candidate.build().eval()
    except (RuntimeError, AssertionError, ValueError, TypeError, KeyError) as error:  # what libraries raise for a shape
        raise CheckpointError(
            f"{candidate.name} cannot be built for these tensors",
            found=f"{type(error).__name__}: {error}".partition("\n")[0][:160],
            hint="name the architecture with --backbone NAME or --backbone your_file.py:function",
        ) from error


def _expect_size(candidate: Candidate, numbers: int) -> None:
    """Raise `CheckpointError` for a network of recorded settings that is far larger than its file."""
    if not candidate.recorded:
        return
    with torch.device("meta"):
        wanted = sum(value.numel() for value in candidate.build().state_dict().values())
    if wanted > _TIMES * numbers + _SPARE:
        raise CheckpointError(
            f"the recorded settings of {candidate.name} are not of this file",
            found=f"a network of {wanted:,} numbers, and {numbers:,} in the file",
            hint="correct the settings beside the file, or remove them",
        )
