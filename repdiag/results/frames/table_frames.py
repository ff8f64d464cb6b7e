"""From metric tables to the frames that the figures draw: each function filters, renames and orders rows, no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.metrics.inference.rank_correlation import Correlation
from repdiag.results.frames.judged_split import judged_splits
from repdiag.results.headlines import CONTEXT, HEADLINES, Headline

if TYPE_CHECKING:
    import pandas as pd

CURVE_METRICS = ("kmeans_purity", "ami", "homogeneity", "completeness")
TOP = (1, 2, 3, 4, 5)
_ENDS = ("alignment_low", "alignment_high", "uniformity_low", "uniformity_high")
KNN = 20


def instance_discrimination_bars(
    table: MetricTable, *, space: str = "features", pair: str = "original-view"
) -> pd.DataFrame:
    """Return the frame of the figure of the same name; empty where the table has no such rows."""
    from repdiag.results.frames.columns import INSTANCE_DISCRIMINATION_BARS as COLUMNS

    records = []
    for row in table.where(metric="instance_discrimination_accuracy", space=space, pair=pair):
        if row.params.get("k") in TOP:
            gap = first(table, checkpoint=row.checkpoint, metric="pretext_gap", space=space, pair=pair)
            records.append(
                _where(row)
                | {"pair": pair, "k": row.params["k"], "value": row.value}
                | {"ci_low": row.ci_low, "ci_high": row.ci_high, "reason": row.reason}
                | {
                    "gap": gap.value if gap else None,
                    "gap_low": gap.ci_low if gap else None,
                    "gap_high": gap.ci_high if gap else None,
                }
            )
    return frame_of(records, (*COLUMNS, "space", "pair", "gap", "gap_low", "gap_high", "reason"))


def alignment_uniformity_plane(table: MetricTable, *, pair: str = "original-view") -> pd.DataFrame:
    """Return the frame of the figure of the same name, with kNN accuracy as the colour."""
    from repdiag.results.frames.columns import ALIGNMENT_UNIFORMITY_PLANE as COLUMNS

    records = []
    for row in table.where(metric="alignment", pair=pair):
        where = {"checkpoint": row.checkpoint, "space": row.space}
        uniformity = first(table, **where, split=row.split, metric="uniformity")
        if uniformity is None:
            continue  # not among what was evaluated
        accuracy = first(table, **where, metric="knn_accuracy", k=KNN)
        records.append(
            _where(row)
            | {"alignment": row.value, "alignment_low": row.ci_low, "alignment_high": row.ci_high}
            | {"uniformity": uniformity.value}
            | {"uniformity_low": uniformity.ci_low, "uniformity_high": uniformity.ci_high}
            | {"accuracy": accuracy.value if accuracy else None}
        )
    return frame_of(_once(records, ("checkpoint", "split", "space")), (*COLUMNS, "accuracy", *_ENDS))


def over_cluster_curve(
    table: MetricTable,
    *,
    space: str = "features",
    split: str | None = None,
    metrics: Sequence[str] = CURVE_METRICS,
) -> pd.DataFrame:
    """Return the frame of the figure of the same name; the band is one standard deviation over seeds either way."""
    from repdiag.results.frames.columns import OVER_CLUSTER_CURVE as COLUMNS

    records = []
    judged = judged_splits(table)
    for metric in metrics:
        for row in table.where(metric=metric, space=space):
            if row.split != (split or judged[row.checkpoint]):
                continue
            classes = classes_of(table, row)
            clusters = row.params.get("clusters")
            if clusters is None or classes is None:
                continue
            peak = first(table, checkpoint=row.checkpoint, metric="granularity", space=space, split=row.split)
            low, high = _band(row)
            records.append(
                _where(row)
                | {"metric": metric, "clusters": clusters, "ratio": clusters / classes, "value": row.value}
                | {"low": low, "high": high, "granularity": peak.value if peak else None, "reason": row.reason}
            )
    return frame_of(records, (*COLUMNS, "granularity", "reason"))


def checkpoint_comparison(table: MetricTable, *, space: str = "features", split: str | None = None) -> pd.DataFrame:
    """Return the frame of the figure of the same name: the headline metrics that any checkpoint has."""
    from repdiag.results.frames.columns import CHECKPOINT_COMPARISON as COLUMNS

    records: list[dict[str, Any]] = []
    judged = judged_splits(table)
    for headline in HEADLINES:
        found = [
            headline_row(table, headline, checkpoint=name, space=space, split=split or judged[name])
            for name in table.names("checkpoint")
        ]
        records.extend(headline_record(row, headline) for row in found if row is not None)
    return frame_of(records, (*COLUMNS, "percent", "reason"))


def scatter_against_accuracy(
    table: MetricTable,
    *,
    metrics: Sequence[str] = ("intra_class_distance", "uniformity"),
    space: str = "features",
    split: str | None = None,
    correlations: Mapping[str, Correlation] | None = None,
) -> pd.DataFrame:
    """Return the frame of the figure of the same name; `correlations` gives value and interval of each metric."""
    from repdiag.results.frames.columns import SCATTER_AGAINST_ACCURACY as COLUMNS

    records = []
    judged = judged_splits(table)
    for metric in metrics:
        correlation = (correlations or {}).get(metric, (None, None, None))
        for name in table.names("checkpoint"):
            where = {"checkpoint": name, "space": space, "split": split or judged[name]}
            row = first(table, **where, metric=metric)
            accuracy = first(table, **where, metric="knn_accuracy", k=KNN)
            if row is not None:
                named = dict(zip(("correlation", "correlation_low", "correlation_high"), correlation, strict=True))
                records.append(
                    _where(row)
                    | {"metric": metric, "label": metric.replace("_", " "), "value": row.value}
                    | {"accuracy": accuracy.value if accuracy else None, **named}
                )
    return frame_of(records, (*COLUMNS, "split", "space", "correlation", "correlation_low", "correlation_high"))


def headline_row(table: MetricTable, headline: Headline, **where: str) -> MetricRow | None:
    """Return the row of a headline metric of one checkpoint, space and split; on the over-cluster curve at K = C."""
    row = first(table, metric=headline.metric, **where, **headline.params)
    if row is None or headline.metric not in AT_CLASSES:
        return row
    return first(table, metric=headline.metric, clusters=classes_of(table, row), **where) or row


def headline_record(row: MetricRow, headline: Headline) -> dict[str, Any]:
    """Return what figures say of the row of a headline metric."""
    shown = {name: getattr(headline, name) for name in ("label", "direction", "percent")}
    shown["direction"] = "context" if headline.metric in CONTEXT else headline.direction
    value = {name: getattr(row, name) for name in ("metric", "value", "ci_low", "ci_high", "reason")}
    return _where(row) | shown | value


def first(table: MetricTable, **wanted: Any) -> MetricRow | None:
    """Return the first row that matches, the one of the default settings, or None."""
    return next(iter(table.where(**wanted)), None)


# Metrics of the over-cluster curve: their headline is the row at K = C.
AT_CLASSES = frozenset({*CURVE_METRICS, "nmi", "ari", "v_measure", "fowlkes_mallows"})


def classes_of(table: MetricTable, row: MetricRow) -> int | None:
    """Return the number of classes behind a row of the over-cluster curve, as its rows with a value state it."""
    for other in table.where(checkpoint=row.checkpoint, space=row.space, split=row.split, metric=row.metric):
        ratio = other.extra.get("per_class_clusters")
        if ratio:
            return round(float(other.params["clusters"]) / float(ratio))
    return None


def _band(row: MetricRow) -> tuple[float | None, float | None]:
    spread = row.extra.get("sd")
    if row.value is None or spread is None:
        return None, None
    return row.value - spread, row.value + spread


def _where(row: MetricRow) -> dict[str, Any]:
    return {
        "checkpoint": row.checkpoint,
        "dataset": row.dataset,
        "split": row.split,
        "space": row.space,
        "n": row.n,
    }


def _once(records: Iterable[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in records:
        kept.setdefault(tuple(record[key] for key in keys), record)
    return list(kept.values())


def frame_of(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Return the records as a frame of these columns, each of its kind."""
    import pandas as pd

    frame = pd.DataFrame.from_records(list(records), columns=list(columns))
    where = {"checkpoint", "dataset", "split", "space", "pair", "varied", "setting"}
    text = where | {"metric", "label", "direction", "reason", "cost", "cost_label"}
    kinds = dict.fromkeys(("k", "clusters", "epoch", "n"), "int64") | {"percent": "bool"}
    return frame.astype({name: kinds.get(name, "float64") for name in columns if name not in text})
