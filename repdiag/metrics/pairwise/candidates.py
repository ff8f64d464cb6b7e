"""Nearest partners on the CPU by way of faiss, whose blocked search lies closer to the product's limit than tiles do.

faiss proposes, in float32; `settled` decides, so that the result is that of the tiles to the last index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from repdiag.core.progress import counted
from repdiag.metrics.pairwise.near_ties import Neighbors, settled
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.rows import RawRows
from repdiag.metrics.pairwise.top_k import TopK

# Candidates beyond k: they cost faiss nothing that could be measured, a row whose k-th is not settled among them costs
# a product with the whole bank.
_SPARE = 16
_QUERIES = 1 << 14  # are searched for at a time: a few of faiss's own blocks, so that progress can be told
_MOST = 1000  # beyond this many neighbours the candidates of a block of queries outgrow the caches
_BUFFERS = 64 << 20  # bytes that faiss works in: a block of 4096 queries by 1024 rows, and its results
# faiss adds squared norms that it rounds itself to a product that it rounds: each errs as much as a tile's product.
_EUCLIDEAN_SLACK = 2.0


def served_by_faiss(pairing: Pairing, wish: TopK, memory_budget: int | None) -> bool:
    """Say whether a search of one set in another, on the CPU and in float32, is all that is wanted."""
    two_sets = not pairing.symmetric and pairing.own is None
    rows = (pairing.left.fast, pairing.right.fast)
    single = all(side.dtype == torch.float32 and side.device.type == "cpu" for side in rows)
    return two_sets and single and wish.k <= _MOST and (memory_budget is None or memory_budget >= _BUFFERS)


def search(pairing: Pairing, wish: TopK) -> Neighbors:
    """Return the k nearest partners of every row of `left` among those of `right`."""
    import faiss

    wish.start(pairing)  # the same refusal of more neighbours than there are partners
    euclidean = isinstance(pairing.left, RawRows)
    queries, bank = pairing.left.fast.numpy(), pairing.right.fast.numpy()
    with _threads(torch.get_num_threads()):
        distance = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
        parts = [
            faiss.knn(queries[start : start + _QUERIES], bank, min(wish.k + _SPARE, len(bank)), metric=distance)
            for start in counted("neighbours", range(0, len(queries), _QUERIES))
        ]
    found, index = (np.concatenate(side) for side in zip(*parts, strict=True))
    score: Tensor = torch.from_numpy(found)
    if euclidean:
        return settled(pairing, score.neg_(), torch.from_numpy(index), k=wish.k, slack=_EUCLIDEAN_SLACK)
    return settled(pairing, score, torch.from_numpy(index), k=wish.k)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let faiss use as many threads as torch does."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
