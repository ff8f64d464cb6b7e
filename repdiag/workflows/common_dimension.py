"""The comparison's second table: encoders of unlike width read at a common number of dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable


@dataclass(frozen=True, kw_only=True)
class CommonReading:
    """Headline metrics of every checkpoint at `dims` dimensions, and what each has by itself."""

    dims: int
    widths: dict[str, int]
    table: MetricTable

    @property
    def note(self) -> str:
        """What a reader of the main table must know."""
        widths = ", ".join(f"{name} {width}" for name, width in self.widths.items())
        return (
            f"features differ in dimension ({widths}); distances, uniformity and ranks are comparable "
            f"at equal dimension only: read them in common_dimension.csv, at {self.dims}"
        )


def read_at_common_dimension(sets: Mapping[str, Mapping[str, EmbeddingSet]], *, seed: int) -> CommonReading | None:
    """Return the common reading of the stored sets of analyses; None where all have the same width anyway.

    The bank of kNN is the train gallery, which is smaller than that of the main table.
    """
    from repdiag.core.metric_table import MetricTable
    from repdiag.embeddings.common_dimension import at_dimension, common_dimension
    from repdiag.metrics.evaluate import evaluate
    from repdiag.results.headlines import HEADLINES

    widths = {name: int(item["val"].features.shape[1]) for name, item in sets.items()}
    if len(set(widths.values())) < 2:
        return None
    # Vectors alone have no train rows: then the principal components are those of the rows themselves.
    fitted = {name: item.get("train", item["val"]) for name, item in sets.items()}
    dims = common_dimension(fitted)
    metrics = list(dict.fromkeys(headline.metric for headline in HEADLINES))
    tables = []
    for name, item in sets.items():
        reduced = at_dimension(fitted[name], item, dims=dims)
        there = reduced["val"].available()
        bank = reduced.get("train")
        wanted = [name for name in metrics if _can_be_measured(name, there, banked=bank is not None)]
        tables.append(evaluate(reduced["val"], wanted, bank=bank, seed=seed))
    return CommonReading(dims=dims, widths=widths, table=MetricTable.concat(tables))


def _can_be_measured(name: str, there: Collection[str], *, banked: bool) -> bool:
    from repdiag.metrics.registry import get

    return all(need in there or (banked and need.startswith("other_")) for need in get(name).needs)
