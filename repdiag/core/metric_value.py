"""`MetricValue`: what one call of a metric returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from repdiag.core.errors import MetricError


@dataclass(frozen=True, kw_only=True, repr=False)
class MetricValue:
    """One number with what is needed to read it.

    `value` is None, with a `reason`, when it could not be computed: never 0, never NaN. `params` holds the
    settings that tell this value from others of the same metric; `extra` counts worth knowing (ties, excluded rows).
    `per_row` [N] and `per_class` [C] hold the parts whose mean is the value, where the metric decomposes; a class that
    has no part is NaN there. `rows` numbers the rows that `per_row` speaks of, where these are not all. `influence` [N]
    is there where a row also changes the parts of other rows: numbers that average to the value like `per_row`, and
    whose spread is the value's error, which that of `per_row` then is not.
    """

    value: float | None
    n: int
    params: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str | None = None
    per_row: Tensor | None = None
    per_class: Tensor | None = None
    rows: Tensor | None = None
    influence: Tensor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __float__(self) -> float:
        if self.value is None:
            raise MetricError("the value could not be computed", found=self.reason)
        return self.value

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self.params.items())
        if self.value is None:
            return f"MetricValue(n/a: {self.reason}, n={self.n}{settings})"
        interval = "" if self.ci_low is None else f", interval=[{self.ci_low:.4g}, {self.ci_high:.4g}]"
        return f"MetricValue({self.value:.6g}{interval}, n={self.n}{settings})"

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if self.value is not None else "n/a"


def undefined(reason: str, *, n: int, **params: Any) -> MetricValue:
    """Return the null value with its reason."""
    return MetricValue(value=None, n=n, reason=reason, params=params)
