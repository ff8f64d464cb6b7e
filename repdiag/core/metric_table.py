"""`MetricTable`: tidy rows, one value each, so that every plot and every rule is a filter."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from repdiag.core.errors import MetricError, unknown_name
from repdiag.core.html_table import html_table, text_table
from repdiag.core.numbers import show_interval, show_value

if TYPE_CHECKING:
    import pandas as pd


Role = Literal["trained", "untrained", "reference"]


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One value of one metric, with its settings, interval and provenance.

    `role` says what the encoder is here: trained, an untrained copy, or a reference. `classes` counts the
    classes among the rows, None without labels.
    """

    checkpoint: str
    role: Role = "trained"
    epoch: int | None = None
    dataset: str
    split: str
    space: str
    metric: str
    version: int
    params: Mapping[str, Any] = field(default_factory=dict)
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str | None = None
    n: int
    classes: int | None = None
    seed: int | None = None
    reason: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise MetricError(f"{self.metric} gave a value that is not finite", found=str(self.value))
        if self.value is None and not self.reason:
            raise MetricError(f"{self.metric} gave no value and no reason")


_UNTRAINED_ENDING = " (untrained)"
COLUMNS = tuple(item.name for item in fields(MetricRow))
_JSON_COLUMNS = ("params", "extra")
_ROWS_SHOWN = 30


def reference_name(name: str) -> str:
    """Return what a reference checkpoint is called in evidence and sentences."""
    return f"reference {name}"


def untrained_name(checkpoint: str) -> str:
    """Return what the untrained copy of a checkpoint is called; what it is, its rows' role says."""
    return checkpoint + _UNTRAINED_ENDING


@dataclass(frozen=True, repr=False)
class MetricTable:
    """An immutable sequence of `MetricRow`; filters return tables.

    Example:
        >>> import repdiag
        >>> table = repdiag.evaluate([[1.0, 0.0], [0.0, 1.0]], ["uniformity", "rankme"])
        >>> table.where(metric="uniformity").value(t=2.0)
        -4.0
        >>> table.to_frame()["metric"].tolist()
        ['uniformity', 'rankme']
    """

    rows: tuple[MetricRow, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[MetricRow]:
        return iter(self.rows)

    def __add__(self, other: MetricTable) -> MetricTable:
        return MetricTable(self.rows + other.rows)

    def where(self, **wanted: Any) -> MetricTable:
        """Return the rows whose columns, or else whose params, equal every given value."""
        return MetricTable(tuple(row for row in self.rows if _matches(row, wanted)))

    def one(self, **wanted: Any) -> MetricRow:
        """Return the only row that matches; an error says how many did."""
        found = self.where(**wanted).rows
        if len(found) != 1:
            raise MetricError(f"wanted one row for {wanted}", found=f"{len(found)} rows")
        return found[0]

    def value(self, **wanted: Any) -> float | None:
        """Return the value of the only row that matches."""
        return self.one(**wanted).value

    def names(self, column: str = "metric") -> tuple[Any, ...]:
        """Return the distinct values of one column, in order of appearance."""
        if column not in COLUMNS:
            raise unknown_name("column", column, COLUMNS)
        return tuple(dict.fromkeys(getattr(row, column) for row in self.rows))

    def with_role(self, role: Role) -> MetricTable:
        """Return the rows as those of an encoder in this role."""
        return MetricTable(tuple(replace(row, role=role) for row in self.rows))

    def checkpoints(self, *roles: Role) -> tuple[str, ...]:
        """Return the names of the checkpoints in these roles (without any: in all), in order of appearance."""
        return tuple(dict.fromkeys(row.checkpoint for row in self.rows if not roles or row.role in roles))

    def to_records(self) -> list[dict[str, Any]]:
        """Return one plain dictionary a row."""
        return [asdict(row) for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame with the columns of `COLUMNS`; params and extra as sorted JSON."""
        import pandas as pd

        records = self.to_records()
        for record in records:
            for name in _JSON_COLUMNS:
                record[name] = json.dumps(record[name], sort_keys=True, default=plain)
        frame = pd.DataFrame.from_records(records, columns=list(COLUMNS))
        numeric = {"value": "float64", "ci_low": "float64", "ci_high": "float64"}
        return frame.astype(
            {**numeric, "epoch": "Int64", "seed": "Int64", "classes": "Int64", "n": "int64", "version": "int64"}
        )

    def __repr__(self) -> str:
        return self._shown(text_table)

    def _repr_html_(self) -> str:
        return self._shown(html_table)

    def _shown(self, draw: Callable[..., str]) -> str:
        """Return the first rows that have a value, and how many there are in all."""
        known = [row for row in self.rows if row.value is not None]
        heading = ("checkpoint", "split", "space", "metric", "settings", "value", "95 % interval", "n")
        cells = [
            (
                *(row.checkpoint, row.split, row.space, row.metric),
                ", ".join(f"{name}={value}" for name, value in sorted(row.params.items())),
                *(show_value(row.value or 0.0), show_interval(row.ci_low, row.ci_high), str(row.n)),
            )
            for row in known[:_ROWS_SHOWN]
        ]
        said = f"{len(self.rows)} rows, {len(known)} with a value; .to_frame() gives all of them"
        shown = draw(heading, cells)
        return f"{shown}<div>{said}</div>" if draw is html_table else f"{shown}\n{said}"

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> MetricTable:
        """Rebuild from `to_frame` (also after a round trip through CSV or parquet).

        Tables of schema 1 had neither roles nor class counts: the role was the ending of the name.
        """
        if "role" not in frame.columns and "checkpoint" in frame.columns:
            ends = frame["checkpoint"].astype(str).str.endswith(_UNTRAINED_ENDING)
            frame = frame.assign(role=ends.map({True: "untrained", False: "trained"}), classes=None)
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            raise MetricError("not a metric table", found=f"columns missing: {', '.join(missing)}")
        return cls(tuple(_row_from_record(record) for record in frame.to_dict(orient="records")))

    @classmethod
    def concat(cls, tables: Iterable[MetricTable]) -> MetricTable:
        """Return the rows of all tables, in order."""
        return cls(tuple(row for table in tables for row in table))


def plain(value: Any) -> Any:
    """Return what JSON can say of an array, a tensor or another number, as a metric of another package may give it."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _matches(row: MetricRow, wanted: Mapping[str, Any]) -> bool:
    for name, value in wanted.items():
        found = getattr(row, name) if name in COLUMNS else row.params.get(name)
        if found != value:
            return False
    return True


def _row_from_record(record: Mapping[Any, Any]) -> MetricRow:
    import pandas as pd

    values: dict[str, Any] = {}
    for name in COLUMNS:
        value = record[name]
        if name in _JSON_COLUMNS:
            values[name] = json.loads(value) if isinstance(value, str) else dict(value or {})
        else:
            values[name] = None if pd.isna(value) else value
    for name in ("version", "n", "classes", "epoch", "seed"):
        values[name] = None if values[name] is None else int(values[name])
    return MetricRow(**values)
