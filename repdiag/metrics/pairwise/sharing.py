"""The memo that lets many metrics of one evaluation share prepared rows and passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


@dataclass(eq=False)
class Memo:
    """Results by key, with the tensors whose addresses the keys hold, so that no address is used twice."""

    memory_budget: int | None
    progress: Callable[[int, int], None] | None = None
    values: dict[Any, Any] = field(default_factory=dict)
    kept: list[Any] = field(default_factory=list)
    outer: Memo | None = None
    apart: Memo | None = None  # what this process finds while it works apart from the others
    topmost: bool = False


_MEMO: ContextVar[Memo | None] = ContextVar("repdiag_pairwise_memo", default=None)


@contextmanager
def sharing(*, memory_budget: int | None = None, progress: Callable[[int, int], None] | None = None) -> Iterator[None]:
    """Share prepared rows and results of passes within the block; a block inside a block joins the outer one.

    `memory_budget` (bytes) bounds the working tiles of every pass in the block; `progress` is told, during a pass, how
    many of its tiles are done, and of how many. Tensors must not be changed in place meanwhile.
    """
    if _MEMO.get() is not None:
        yield
        return
    token = _MEMO.set(Memo(memory_budget, progress))
    try:
        yield
    finally:
        _MEMO.reset(token)


@contextmanager
def isolated() -> Iterator[None]:
    """Share within the block only, and forget everything at its end: for work on many passing parts of the rows."""
    outer = _MEMO.get()
    token = _MEMO.set(Memo(outer.memory_budget if outer else None, outer=outer))
    try:
        yield
    finally:
        _MEMO.reset(token)


@contextmanager
def outermost() -> Iterator[None]:
    """Within an `isolated` block, share with everything around it again: for what all parts of the rows read."""
    memo = _MEMO.get()
    while memo is not None and memo.outer is not None and not memo.topmost:
        memo = memo.outer
    token = _MEMO.set(memo)
    try:
        yield
    finally:
        _MEMO.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """Read what is shared, and keep what is found where only such blocks see it.

    For work that processes divide between them: what only some of them know must never look known to all.
    """
    outer = _MEMO.get()
    if outer is None:
        yield
        return
    if outer.apart is None:
        outer.apart = Memo(outer.memory_budget, outer=outer, topmost=True)
    token = _MEMO.set(outer.apart)
    try:
        yield
    finally:
        _MEMO.reset(token)


def active() -> Memo | None:
    """Return the memo of the enclosing `sharing` block, if there is one."""
    return _MEMO.get()


def memoised(key: tuple[object, ...], build: Callable[[], T], *, keep: object) -> T:
    """Return the shared value of `key`, building it once; without a `sharing` block, build it."""
    memo = _MEMO.get()
    if memo is None:
        return build()
    if (around := _holding(memo, key)) is not None:
        known: T = around.values[key]
        return known
    memo.values[key] = built = build()
    memo.kept.append(keep)
    return built


def recall(key: tuple[object, ...]) -> Any:
    """Return the value of `key`, None where nobody built it."""
    around = _holding(_MEMO.get(), key)
    return None if around is None else around.values[key]


def _holding(memo: Memo | None, key: tuple[object, ...]) -> Memo | None:
    while memo is not None and key not in memo.values:
        memo = memo.outer
    return memo


def remember(key: tuple[object, ...], value: object, *, keep: object) -> None:
    """Let `memoised` and `recall` find a value that was built elsewhere."""
    memo = _MEMO.get()
    if memo is not None and key not in memo.values:
        memo.values[key] = value
        memo.kept.append(keep)


def tensor_key(tensor: Tensor) -> tuple[object, ...]:
    """Return what identifies the values of a living tensor: where they lie and how they are laid out."""
    return (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype, str(tensor.device))
