"""How many threads numpy's, scipy's and faiss's linear algebra may use: torch's own setting does not reach them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Let every BLAS library that is loaded use `count` threads within the block."""
    import scipy.linalg.blas  # noqa: F401

    with _controller(frozenset({"faiss"} & sys.modules.keys())).limit(limits=count, user_api="blas"):
        yield


@lru_cache
def _controller(_loaded: frozenset[str]) -> ThreadpoolController:
    """Return what steers the libraries: looking through all that are loaded is slow, so once for each set of them."""
    return ThreadpoolController()
