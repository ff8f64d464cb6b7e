"""The ranking of a comparison as the page shows it: one line an encoder, its chances and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SCORES = {
    "logme": "LogME",
    "r_precision": "R-precision",
    "probe": "small probe",
    "instance_discrimination_accuracy": "instance discrimination",
}


def ranking_table(ranking: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the columns and lines of the table, the likeliest encoder first; None without a ranking."""
    if not ranking or not ranking.get("rows"):
        return None
    rows = list(ranking["rows"])
    scores = list(dict.fromkeys(str(row["by"]) for row in rows))
    chances: dict[str, dict[str, float]] = {}
    for row in rows:
        chances.setdefault(str(row["checkpoint"]), {})[str(row["by"])] = float(row["p_best"])
    order = sorted(chances, key=lambda name: -sum(chances[name].values()))
    cost = {str(row["checkpoint"]): row for row in rows}
    return {
        "scores": [_SCORES.get(score, score) for score in scores],
        "lines": [
            {
                "name": name,
                "chances": [f"{100 * chances[name].get(score, 0.0):.0f} %" for score in scores],
                "cost": _cost(cost[name]),
            }
            for name in order
        ],
        "summary": str(ranking.get("summary", "")),
    }


def _cost(row: Mapping[str, Any]) -> list[str]:
    parameters, width, work, time = (row.get(name) for name in ("parameters", "width", "gflops", "ms_per_image"))
    return [
        "" if parameters is None else f"{parameters / 1e6:.3g} M",
        "" if width is None else f"{int(width):,}",
        "" if work is None else f"{work:.3g}",
        "" if time is None else f"{time:.2g} ms",
    ]
