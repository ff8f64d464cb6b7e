"""The deployment table as it is shown, on a terminal and on the page: what to ship costs, beside what it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repdiag.core.numbers import show_interval, show_value
from repdiag.core.plain_records import plain_records

if TYPE_CHECKING:
    import pandas as pd

_COSTS = {
    "file_bytes": ("file, MB", 1e-6),
    "parameters": ("parameters, M", 1e-6),
    "gflops": ("GFLOPs", 1.0),
    "ms_alone": ("ms, one image", 1.0),
    "ms_per_image": ("ms per image, batches", 1.0),
    "peak_bytes": ("memory, MB", 1e-6),
}
_NOT_MEASURED = "\N{EN DASH}"


def deployment_cells(frame: pd.DataFrame) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the headings, and the cells of each encoder by name.

    Example:
        >>> import pandas as pd
        >>> from repdiag.results.frames.deployment import COLUMNS
        >>> row = {**dict.fromkeys(COLUMNS), "checkpoint": "small", "runtime": "torch 2", "file_bytes": 2_500_000}
        >>> headings, ((name, cells),) = deployment_cells(pd.DataFrame([row]))
        >>> name, cells[:3]
        ('small', ['torch 2', '2.50', '\N{EN DASH}'])
    """
    records = plain_records(frame)
    held_against = {str(row["kept_of"]) for row in records if row["kept_of"]}
    label = next((str(row["label"]) for row in records if row["label"]), "")
    headings = ["run by", *(heading for heading, _ in _COSTS.values())]
    headings += [label] if label else []
    headings += ["nearest kept"] if held_against else []
    lines = []
    for row in records:
        runtime: Any = row["runtime"]
        cells = [runtime or _NOT_MEASURED]
        cells += [_amount(row[name], unit) for name, (_, unit) in _COSTS.items()]
        cells += [_worth(row)] if label else []
        if held_against:
            itself = str(row["checkpoint"]) in held_against
            cells.append("the same" if itself else _share(row["neighbors_kept"]))
        lines.append((str(row["checkpoint"]), cells))
    return headings, lines


def measured_how(frame: pd.DataFrame) -> str:
    """Return on what the times and the memory were measured, and whose neighbours are kept."""
    said = []
    for device in map(str, dict.fromkeys(frame["device"])):
        rows = frame[frame["device"] == device]
        threads = sorted({int(one) for one in rows["threads"].dropna()})
        batches = sorted({int(one) for one in rows["batch"].dropna()})
        on = f"{device}, {', '.join(map(str, threads))} thread{'s' if threads != [1] else ''}" if threads else device
        said.append(f"{on}, batches of {', '.join(map(str, batches))}")
    held_against = sorted({str(row["kept_of"]) for row in plain_records(frame) if row["kept_of"]})
    kept = f"; kept of {', '.join(held_against)}" if held_against else ""
    return f"this machine: {'; '.join(said)}; medians{kept}"


def _amount(value: Any, unit: float) -> str:
    if value is None:
        return _NOT_MEASURED
    shown = unit * float(value)
    if shown >= 100:
        return f"{shown:,.0f}"
    return f"{shown:.1f}" if shown >= 10 else f"{shown:.2f}" if shown >= 0.01 else f"{shown:.2g}"


def _share(value: Any) -> str:
    return _NOT_MEASURED if value is None else show_value(float(value), percent=True)


def _worth(row: dict[str, Any]) -> str:
    interval = show_interval(row["ci_low"], row["ci_high"], percent=True)
    return f"{_share(row['value'])} {interval}".strip()
