"""What a reduction over pairs has to offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

from torch import Tensor

from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.tiles import Pairs, Tile

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class State(Protocol[T_co]):
    """The running result of one reduction in one pass."""

    def threshold(self, rows: slice) -> Tensor | None:
        """Return the score [rows] above which pairs of these rows are wanted now; None: every pair is."""

    def add(self, tile: Tile, above: Pairs | None, /) -> None:
        """Take in a tile, read row by row: the pairs above the threshold where there is one, or the whole of it."""

    def join(self) -> None:
        """Take in what other processes found in their tiles of the same pass."""

    def finish(self) -> T_co:
        """Return the result."""


class Reduction(ABC, Generic[T]):
    """A wish on all pairs of a pass: small, frozen, compared by `key`."""

    @property
    @abstractmethod
    def key(self) -> tuple[object, ...]:
        """What tells this reduction from others on the same rows."""

    @abstractmethod
    def start(self, pairing: Pairing) -> State[T]:
        """Return the state at the beginning of a pass."""

    @property
    def in_order(self) -> bool:
        """Whether partners are wanted in exact order: rounded inputs of a product then leave too much to settle."""
        return False

    def covers(self, other: Reduction[Any]) -> bool:
        """Say whether the result of this reduction holds the result of the other."""
        return self.key == other.key

    def narrow(self, result: Any) -> T:
        """Return this reduction's result out of the result of one that covers it."""
        return cast(T, result)
