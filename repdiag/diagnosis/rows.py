"""The rows that a judgement reads: one encoder, one dataset, one space, looked up by metric and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from repdiag.core.errors import MetricError
from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.diagnosis.verdict import Evidence, Reading

TRAIN = "train"


@dataclass(frozen=True)
class JudgedRows:
    """The rows of one encoder in one space; `split` is the one that is judged, train stands beside it."""

    table: MetricTable
    space: str
    split: str

    @classmethod
    def of(cls, table: MetricTable, *, space: str) -> JudgedRows:
        """Pick the space and the judged split; more than one encoder or dataset is an error, not a choice."""
        rows = table.where(space=space)
        if not rows:
            raise MetricError(
                f"nothing to judge in the space {space!r}",
                found=f"rows of {', '.join(map(repr, table.names('space'))) or 'no space at all'}",
            )
        for column in ("checkpoint", "epoch", "dataset"):
            found = rows.names(column)
            if len(found) > 1:
                raise MetricError(
                    f"a judgement is about one {column}",
                    found=", ".join(map(str, found)),
                    hint=f"filter first: table.where({column}=...)",
                )
        splits = rows.names("split")
        held_out = [split for split in splits if split != TRAIN]
        if len(held_out) > 1:
            raise MetricError("more than one split beside train", found=", ".join(held_out))
        return cls(rows, space, held_out[0] if held_out else TRAIN)

    @property
    def has_train(self) -> bool:
        """Return whether there are train rows beside the judged split."""
        return self.split != TRAIN and TRAIN in self.table.names("split")

    def find(self, metric: str, *, split: str | None = None, **params: Any) -> MetricRow | None:
        """Return the first row of `metric` with these settings that has a value, or the first without, or None."""
        found = self.table.where(metric=metric, split=split or self.split, **params).rows
        return next((row for row in found if row.value is not None), found[0] if found else None)

    def curve(self, metric: str, along: str) -> dict[int, MetricRow]:
        """Return the rows of `metric` that have a value, by their setting `along`, in rising order."""
        rows = self.table.where(metric=metric, split=self.split).rows
        points = {row.params[along]: row for row in rows if row.value is not None and along in row.params}
        return dict(sorted(points.items()))

    def classes(self) -> int | None:
        """Return the number of classes, as the rows of the over-cluster curve tell it."""
        for clusters, row in self.curve("ami", "clusters").items():
            per_class = row.extra.get("per_class_clusters")
            if per_class:
                return round(clusters / float(per_class))
        return None


def value_of(row: MetricRow | None) -> float | None:
    """Return the row's value, None also where there is no row."""
    return None if row is None else row.value


def interval_of(row: MetricRow) -> tuple[float, float] | None:
    """Return the row's interval; a value without one is a point, whose doubt nobody has measured: None."""
    if row.value is None or row.ci_low is None or row.ci_high is None:
        return None
    return row.ci_low, row.ci_high


def evidence_from(
    row: MetricRow,
    *,
    reading: Reading,
    sentence: str,
    threshold: float | None = None,
    against_what: str = "threshold",
) -> Evidence:
    """Return the row as evidence."""
    params: Mapping[str, Any] = dict(row.params)
    return Evidence(
        metric=row.metric,
        params=params,
        space=row.space,
        split=row.split,
        value=row.value,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
        ci_method=row.ci_method,
        threshold=threshold,
        against_what=against_what,
        reading=reading,
        sentence=sentence,
    )
