"""Galleries of one make: of the larger of two sets as many as it holds, class by class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from repdiag.core.shapes import Tensor
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.pairwise.sharing import memoised, tensor_key

MOST = 8  # galleries: more of them leave the error of the other side, which is one


def class_counts(labels: Tensor) -> dict[int, int]:
    """Return the number of rows of each class."""
    names, counts = torch.unique(labels, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def dealt_galleries(features: Tensor, labels: Tensor, *, counts: Mapping[int, int]) -> list[Tensor]:
    """Return the row numbers of disjoint galleries that hold so many rows of each class; every class has as many.

    Lots are drawn over the rows by their cosine with the mean of all: neither their order nor a rotation counts.
    """

    def deal() -> list[Tensor]:
        rows, names = float64_unit_rows(features).cpu(), labels.cpu().numpy()
        place = np.argsort((rows @ rows.mean(dim=0)).numpy(), kind="stable")
        lots = np.random.default_rng(0)
        members = {name: lots.permutation(place[names[place] == name]) for name in counts}
        galleries = min(MOST, *(len(members[name]) // count for name, count in counts.items()))
        return [
            torch.from_numpy(
                np.sort(np.concatenate([members[c][turn * n : (turn + 1) * n] for c, n in counts.items()]))
            ).to(features.device)
            for turn in range(galleries)
        ]

    key = ("galleries", tensor_key(features), tensor_key(labels), tuple(sorted(counts.items())))
    return memoised(key, deal, keep=(features, labels))


def gallery_rows(name: str, value: Tensor, rows: Tensor) -> Tensor:
    """Return the rows of a gallery; inside a `sharing` block the same tensor each time."""
    key = ("gallery", name, tensor_key(value), rows.cpu().numpy().tobytes())
    return memoised(key, lambda: value.index_select(0, rows), keep=value)
