"""What it takes to ship each encoder, beside what it is worth: the table, and the frame of its figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from repdiag.core.encoder_cost import EncoderCost
from repdiag.core.metric_table import MetricTable
from repdiag.results.frames.judged_split import judged_splits
from repdiag.results.frames.table_frames import frame_of, headline_row
from repdiag.results.headlines import HEADLINES, Headline

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("checkpoint", "dataset", "split", "runtime", "device", "threads", "batch"),
    *("file_bytes", "parameters", "gflops", "ms_alone", "ms_per_image", "peak_bytes"),
    *("metric", "label", "value", "ci_low", "ci_high", "n", "neighbors_kept", "kept_of"),
)
# What is drawn against, with the unit that a reader wants.
COSTS = {
    "ms_alone": ("ms an image, one at a time", 1.0),
    "file_bytes": ("file, MB", 1e-6),
    "peak_bytes": ("memory for one image, MB", 1e-6),
    "gflops": ("GFLOPs an image", 1.0),
}
_WORTH = ("knn_accuracy", "r_precision", "instance_discrimination_accuracy")
_KEPT = "neighbors_kept"


def deployment_frame(
    table: MetricTable, costs: Mapping[str, EncoderCost], drift: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return one row for each encoder whose cost is known: size, work, time, memory, accuracy and neighbours kept.

    `drift` holds a row for each encoder but the one that it is held against (`kept_of`).
    """
    import pandas as pd

    kept: dict[str, dict[str, Any]] = {}
    if drift is not None:
        kept = {str(row["new"]): {_KEPT: row[_KEPT], "kept_of": row["old"]} for row in drift.to_dict(orient="records")}
    headline = _headline(table, list(costs))
    judged = judged_splits(table)
    records = []
    for name, cost in costs.items():
        record: dict[str, Any] = {"checkpoint": name, **asdict(cost), **kept.get(name, {})}
        row = None
        if headline is not None:
            row = headline_row(table, headline, checkpoint=name, space="features", split=judged.get(name, "val"))
        if row is not None and headline is not None:
            found = ("dataset", "split", "metric", "value", "ci_low", "ci_high", "n")
            record |= {name: getattr(row, name) for name in found} | {"label": headline.label}
        records.append(record)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _headline(table: MetricTable, names: list[str]) -> Headline | None:
    """Return the first measure of worth that one of the encoders has."""
    for metric in _WORTH:
        (headline,) = (one for one in HEADLINES if one.metric == metric)
        rows = [row for name in names for row in table.where(metric=metric, checkpoint=name, **headline.params)]
        if any(row.value is not None for row in rows):
            return headline
    return None


def deployment_tradeoff(deployment: pd.DataFrame) -> pd.DataFrame:
    """Return the frame of the figure of the same name: worth against each cost; who is on the front of the best."""
    from repdiag.results.frames.columns import DEPLOYMENT_TRADEOFF as DRAWN

    held_against = set(deployment["kept_of"].dropna())
    records = []
    for row in deployment.to_dict(orient="records"):
        worth = {str(row["metric"]): (str(row["label"]), *(row[name] for name in ("value", "ci_low", "ci_high")))}
        if held_against:
            kept = 1.0 if row["checkpoint"] in held_against else row[_KEPT]
            worth[_KEPT] = ("nearest image kept", kept, None, None)
        for metric, (label, value, low, high) in worth.items():
            for cost, (cost_label, unit) in COSTS.items():
                amount = row[cost]
                records.append(
                    {name: row[name] for name in ("checkpoint", "dataset", "split", "n")}
                    | {"metric": metric, "label": label, "value": value, "ci_low": low, "ci_high": high}
                    | {"cost": cost, "cost_label": cost_label, "amount": None if amount is None else unit * amount}
                )
    frame = frame_of([one for one in records if one["n"] == one["n"]], DRAWN[:-1])
    known = frame.dropna(subset=["amount"])["cost"]
    return with_front(frame[frame["cost"].isin(set(known))].reset_index(drop=True))


def with_front(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with `on_front`: no other encoder is as good for less, or better for as little.

    Example:
        >>> import pandas as pd
        >>> rows = {"metric": "m", "cost": "c", "value": [0.9, 0.8, 0.7], "amount": [3.0, 1.0, 2.0]}
        >>> with_front(pd.DataFrame(rows))["on_front"].tolist()
        [True, True, False]
    """
    import pandas as pd

    fronts = []
    for _, rows in frame.groupby(["metric", "cost"], sort=False):
        value, amount = rows["value"].to_numpy(), rows["amount"].to_numpy()
        better = (value[None, :] >= value[:, None]) & (amount[None, :] <= amount[:, None])
        strictly = (value[None, :] > value[:, None]) | (amount[None, :] < amount[:, None])
        known = rows["value"].notna() & rows["amount"].notna()
        beaten = pd.Series((better & strictly).any(axis=1), index=rows.index)
        fronts.append(known & ~beaten)
    return frame.assign(on_front=pd.concat(fronts) if fronts else pd.Series(dtype=bool))
