"""`MetricValue`: what one call of a metric returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from repdiag.core.errors import MetricError


@dataclass(frozen=True, kw_only=True, repr=False)
class MetricValue:
    """One number with everything needed to interpret it.

    If the value could not be computed, `value` is None with a `reason`: never 0, never NaN. `params` holds the settings
    that distinguish this value from others of the same metric, `extra` further counts (ties, excluded rows). If the
    metric is a mean of parts, `per_row` [N] and `per_class` [C] hold them; a class without a part is NaN. `rows`
    numbers the rows of `per_row`, if these are not all. If a row also changes the parts of other rows, `influence` [N]
    holds numbers that average to the value and whose spread, unlike that of `per_row`, gives its error.
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
