"""Two-dimensional maps of high-dimensional rows, for looking at; no number is computed from them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from repdiag.core.shapes import Float

MAX_ROWS = 50_000


def project_2d(
    features: Float[Tensor, "N D"],
    *,
    method: Literal["umap", "pca"] = "umap",
    seed: int = 0,
    neighbors: int = 15,
) -> Float[Tensor, "N 2"]:
    """Return one point a row: UMAP (cosine, seeded, so single-threaded) or the first two principal components."""
    rows = torch.nn.functional.normalize(features.double(), dim=1)
    if method == "pca" or len(rows) <= neighbors + 1:
        centred = rows - rows.mean(0)
        _, _, directions = torch.linalg.svd(centred, full_matrices=False)
        plane = centred @ directions[:2].T
        return torch.nn.functional.pad(plane, (0, 2 - plane.shape[1])).float()
    return _umap(rows.float().numpy(), seed, neighbors)


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


def _umap(rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]], seed: int, neighbors: int) -> Tensor:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap announces that a seed costs its parallelism
        import umap

        model = umap.UMAP(n_neighbors=neighbors, metric="cosine", random_state=seed, n_jobs=1)
        return torch.as_tensor(np.ascontiguousarray(model.fit_transform(rows), dtype=np.float32))
