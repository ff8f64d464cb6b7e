"""Everything that the verdict on drift looks at, measured once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.core.metric_table import MetricTable
from repdiag.metrics.breakdown import class_names_of
from repdiag.metrics.evaluate import evaluate
from repdiag.metrics.inference.paired import PairedTest, paired_test
from repdiag.metrics.pairwise import TopK, over_pairs, sharing, unit_rows
from repdiag.metrics.similarity.threshold_shift import ThresholdShift, threshold_shift

if TYPE_CHECKING:
    import pandas as pd

RANKS = 100  # how far down the new order the old nearest row is looked for
_BETWEEN = ("neighbors_kept", "mutual_knn", "cross_gallery", "row_cosine", "linear_cka", "procrustes_distance")


@dataclass(frozen=True, kw_only=True)
class ClassRetrieval:
    """Precision at 1 of the old encoder and of the new one on the same rows, and the paired test of new minus old."""

    old: float
    new: float
    chance: float
    test: PairedTest


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftNumbers:
    """The numbers of one pair of encoders: old and new, row by row.

    `table` holds the metrics of the pair. `rows`: row_id, class_name, cosine, the old nearest row and the new one, the
    rank of the old nearest row in the new order (101: further down) and the old margin, the largest change first.
    `per_class`: what became of each class, the worst first; None without labels.
    """

    table: MetricTable
    rows: pd.DataFrame
    per_class: pd.DataFrame | None
    classes: ClassRetrieval | None
    threshold: ThresholdShift | None
    widths: tuple[int, int]
    length_ratio: float

    def value(self, metric: str, **params: Any) -> float | None:
        """Return a number of the pair, None where it could not be computed."""
        return self.table.value(metric=metric, **params)


def measure_drift(
    old: EmbeddingSet, new: EmbeddingSet, *, threshold: float | None = None, intervals: bool = True, seed: int = 0
) -> DriftNumbers:
    """Return the numbers of two encoders whose rows are the same, in one order.

    `threshold` is a cosine from which the user takes two rows for the same thing; without one, that of one false accept
    in a hundred is looked at. Raises `MetricError` for fewer than four rows.
    """
    if len(old) < 4:
        raise MetricError("drift needs four rows", found=f"{len(old)}", hint="a few hundred rows give useful numbers")
    known = old.labelled_rows()
    labels = None if old.labels is None else old.labels if known is None else torch.where(known, old.labels, -1)
    with sharing():
        found = evaluate(old, list(_BETWEEN), other=new, seed=seed, intervals=intervals)
        orders = [over_pairs(unit_rows(one.features), TopK(min(RANKS, len(old) - 1))) for one in (old, new)]
    table = MetricTable(tuple(row for row in found if row.space == "features"))
    parts = {(row.metric, row.params.get("k"), row.params.get("rotated")): found.per_row[number]
             for number, row in enumerate(found) if row.space == "features" and number in found.per_row}  # fmt: skip
    ranks = _ranks(orders[0].index[:, 0], orders[1].index)
    rows = _row_frame(old, orders, parts, ranks)
    shift = classes = per_class = None
    if labels is not None and (labels >= 0).sum() >= 4:
        usable = labels >= 0
        hits = [(labels[order.index[:, 0]] == labels)[usable].double() for order in orders]
        classes = _class_retrieval(hits, labels[usable])
        shift = threshold_shift(
            old.features[usable], new.features[usable], labels[usable], threshold=threshold, seed=seed
        )
        per_class = _class_frame(rows, usable.cpu().numpy(), hits)
    norms = [float(torch.linalg.vector_norm(one.features.double(), dim=1).mean()) for one in (old, new)]
    return DriftNumbers(
        table=table,
        rows=rows.sort_values(["rank", "cosine"], ascending=[False, True], kind="stable", ignore_index=True),
        per_class=per_class,
        classes=classes,
        threshold=shift,
        widths=(old.features.shape[1], new.features.shape[1]),
        length_ratio=norms[1] / norms[0],
    )


def _ranks(nearest: Tensor, order: Tensor) -> Tensor:
    """Return the place, from 1 on, of each row's old nearest row in its new order; one more than it has, if absent."""
    same = order == nearest[:, None]
    return torch.where(same.any(dim=1), same.int().argmax(dim=1) + 1, order.shape[1] + 1)


def _row_frame(old: EmbeddingSet, orders: list[Any], parts: dict[Any, Tensor], ranks: Tensor) -> pd.DataFrame:
    import pandas as pd

    ids: Any = np.asarray(old.row_ids)
    first, second = (order.index[:, 0].cpu().numpy() for order in orders)
    score = orders[0].score
    margin = score[:, 0] - score[:, 1] if score.shape[1] > 1 else torch.zeros(len(old))
    cosine, crossed = parts.get(("row_cosine", None, None)), parts.get(("cross_gallery", None, False))
    nothing = np.full(len(old), np.nan)
    return pd.DataFrame(
        {
            "row_id": ids,
            "class_name": class_names_of(old) or [""] * len(old),
            "cosine": nothing if cosine is None else cosine.cpu().numpy(),
            "nearest_kept": parts["neighbors_kept", 1, None].cpu().numpy() == 1.0
            if ("neighbors_kept", 1, None) in parts
            else first == second,
            "ten_kept": nothing if ("neighbors_kept", 10, None) not in parts
            else parts["neighbors_kept", 10, None].cpu().numpy(),
            "cross_found": nothing if crossed is None else crossed.cpu().numpy(),
            "rank": ranks.cpu().numpy(),
            "old_margin": margin.cpu().numpy(),
            "old_nearest": ids[first],
            "new_nearest": ids[second],
        }
    )  # fmt: skip


def _class_retrieval(hits: list[Tensor], labels: Tensor) -> ClassRetrieval:
    shares = torch.unique(labels, return_counts=True)[1].double() / len(labels)
    return ClassRetrieval(
        old=float(hits[0].mean()),
        new=float(hits[1].mean()),
        chance=float(shares.square().sum()),
        test=paired_test(hits[1], hits[0], labels=labels),
    )


def _class_frame(rows: pd.DataFrame, usable: Any, hits: list[Tensor]) -> pd.DataFrame:
    known = rows[usable].assign(old_precision_at_1=hits[0].cpu().numpy(), new_precision_at_1=hits[1].cpu().numpy())
    numbers = ["nearest_kept", "ten_kept", "cross_found", "cosine", "old_precision_at_1", "new_precision_at_1"]
    found = known.groupby("class_name", sort=True)[numbers].mean()
    found.insert(0, "n", known.groupby("class_name", sort=True).size())
    ordered: pd.DataFrame = found.sort_values("nearest_kept", kind="stable").reset_index()
    return ordered
