"""Work that several metrics of one evaluation need: done once for each data and settings, forgotten at its end."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")
_MEMO: ContextVar[dict[Hashable, Any] | None] = ContextVar("repdiag_metrics_memo", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Keep the results of `remember` until the block ends; a nested block shares the outer one's."""
    if _MEMO.get() is not None:
        yield
        return
    token = _MEMO.set({})
    try:
        yield
    finally:
        _MEMO.reset(token)


def remember(compute: Callable[[], T], *, data: Sequence[Tensor], key: Hashable) -> T:
    """Return `compute()`, or inside `remembering` its earlier result for the same tensors and the same key.

    Tensors are the same when they share their memory, layout and version: never by an equal content, so that a look-up
    costs nothing and an in-place change is noticed. The tensors are kept alive with the result.
    """
    memo = _MEMO.get()
    if memo is None:
        return compute()
    full_key = (key, *(_identity(tensor) for tensor in data))
    if full_key not in memo:
        memo[full_key] = (compute(), tuple(data))
    result: T = memo[full_key][0]
    return result


def _identity(tensor: Tensor) -> Hashable:
    return (
        tensor.data_ptr(),
        tuple(tensor.shape),
        tensor.stride(),
        tensor.dtype,
        str(tensor.device),
        tensor._version,
    )
