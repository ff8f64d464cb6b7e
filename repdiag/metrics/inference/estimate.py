"""An estimate with its standard error, and the interval that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value, its standard error, the degrees of freedom of that error, and how it was found."""

    value: float
    error: float
    freedom: float
    method: str

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return value +- t x error."""
        reach = quantile(level, self.freedom) * self.error
        return self.value - reach, self.value + reach

    def reciprocal_interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the interval of 1 / value; that of the value must not hold 0."""
        low, high = self.interval(level)
        return 1.0 / high, 1.0 / low

    def p_value(self) -> float:
        """Return the two-sided p-value of the value being 0."""
        from scipy.stats import t

        if self.error == 0.0:
            return 1.0 if self.value == 0.0 else 0.0
        return float(2.0 * t.sf(abs(self.value) / self.error, self.freedom))


def quantile(level: float, freedom: float) -> float:
    """Return the two-sided quantile of Student's t."""
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2.0, freedom))
