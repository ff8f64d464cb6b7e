from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from repdiag.core.metric_table import MetricRow, MetricTable

MakeTable = Callable[..., MetricTable]


@pytest.fixture
def row() -> Callable[..., MetricRow]:
    """A row of the val split of one checkpoint, with an interval of `half` around the value."""

    def make(
        metric: str, value: float | None, *, half: float | None = 0.01, split: str = "val", **more: Any
    ) -> MetricRow:
        bounds = {} if half is None or value is None else {"ci_low": value - half, "ci_high": value + half}
        columns = {name: more.pop(name) for name in ("n", "space", "checkpoint", "reason", "extra") if name in more}
        defaults = {"checkpoint": "a.pt", "space": "features", "n": 500}
        return MetricRow(
            dataset="digits",
            split=split,
            metric=metric,
            version=1,
            params=more,
            value=value,
            **bounds,
            **{**defaults, **columns},
        )

    return make
