"""Two-dimensional maps of high-dimensional rows, for looking at; no number is computed from them."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from repdiag.core.shapes import Float

MAX_ROWS = 50_000
NEIGHBORS = 15
PERPLEXITY = 30.0

Projection = Literal["umap", "tsne", "pca"]
TITLES: dict[Projection, str] = {"umap": "UMAP", "tsne": "t-SNE", "pca": "the first two principal components"}
_GROUPS = "Groups are meaningful; distances between far groups are not."
READINGS: dict[Projection, str] = {
    "umap": _GROUPS,
    "tsne": _GROUPS,
    "pca": "Distances show these two directions only: rows that meet here may be far apart in others.",
}
_SEARCH_MIB = 64  # of distances held at once; scikit-learn takes a gigabyte unless told
# Fewer rows than this have no neighbourhoods to keep; they are shown by their principal components.
_FEWEST: dict[Projection, int] = {"umap": NEIGHBORS + 2, "tsne": 5, "pca": 1}


def project_2d(features: Float[Tensor, "N D"], *, method: Projection = "umap", seed: int = 0) -> Float[Tensor, "N 2"]:
    """Return one point a row by UMAP or t-SNE (both cosine, seeded, on one thread) or the first two components.

    The same rows and seed give the same points to the bit; `method_for` says what few rows are shown by.
    """
    rows = torch.nn.functional.normalize(features.double(), dim=1)
    chosen = method_for(len(rows), method)
    if chosen == "umap":
        return _umap(rows.float().numpy(), seed)
    return _tsne(rows.float().numpy(), seed) if chosen == "tsne" else _components(rows)


def method_for(count: int, method: Projection) -> Projection:
    """Return the method that `count` rows are shown by where `method` was asked for."""
    return method if count >= _FEWEST[method] else "pca"


def balanced_rows(labels: Tensor, limit: int, *, seed: int = 0) -> Tensor:
    """Return row numbers, in ascending order, of at most `limit` rows with equal counts from every class."""
    if len(labels) <= limit:
        return torch.arange(len(labels))
    generator = torch.Generator().manual_seed(seed)
    classes = torch.unique(labels)
    each = max(1, limit // len(classes))
    picked = []
    for label in classes:
        rows = (labels == label).nonzero().flatten()
        picked.append(rows[torch.randperm(len(rows), generator=generator)[:each]])
    return torch.cat(picked).sort().values


def _components(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    plane = centred @ directions[:2].T
    return torch.nn.functional.pad(plane, (0, 2 - plane.shape[1])).float()


def _tsne(rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]], seed: int) -> Tensor:
    """Return scikit-learn's t-SNE; a perplexity needs about three neighbours a unit, so few rows get a smaller one."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    # Distances of unit rows order as cosines do. Its threads add up in the order in which they finish, hence one.
    model = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    with threadpool_limits(1):
        plane = model.fit_transform(rows)
    return torch.as_tensor(np.ascontiguousarray(plane, dtype=np.float32))


def _umap(rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]], seed: int) -> Tensor:
    """Return UMAP of exact neighbours: its own approximate search has to be compiled for a minute in each process."""
    import warnings

    from sklearn import config_context
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), config_context(working_memory=_SEARCH_MIB):
        search = NearestNeighbors(n_neighbors=NEIGHBORS, metric="cosine", algorithm="brute").fit(rows)
        distance, index = search.kneighbors(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap announces that a seed costs its parallelism
        import umap

        _keep_compiled()
        nearest = (index.astype(np.int32), distance.astype(np.float32), None)
        model = umap.UMAP(n_neighbors=NEIGHBORS, metric="cosine", precomputed_knn=nearest, random_state=seed, n_jobs=1)
        return torch.as_tensor(np.ascontiguousarray(model.fit_transform(rows), dtype=np.float32))


def _keep_compiled() -> None:
    """Let numba keep umap's compiled functions from one process to the next, as it does where a library asks for it.

    Compiling them takes twenty seconds, reading them back a third of one. They lie beside umap's source or in the
    user's cache (`NUMBA_CACHE_DIR`); where neither can be written to, they are compiled each time.
    """
    from numba.core.dispatcher import Dispatcher

    for name in [name for name in sys.modules if name.split(".")[0] == "umap"]:
        for function in vars(sys.modules[name]).values():
            if isinstance(function, Dispatcher) and function.__module__ == name:
                with suppress(RuntimeError):  # no place to keep it
                    function.enable_caching()
