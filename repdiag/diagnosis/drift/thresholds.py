"""Where the verdict on drift turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from repdiag.core.errors import ConfigError, unknown_name

LAYER_FALL = 6.0
"""Decibels of signal to noise that a layer must lose to be named as one at which a graph breaks: the noise doubles."""


@dataclass(frozen=True, kw_only=True)
class DriftThresholds:
    """Where each verdict on drift turns. The defaults were held against pairs of known kind.

    docs/results/exported.md has the pairs, and what was said of each.
    """

    same_nearest: float = 0.98
    """Share of rows whose nearest row is the same from which a space can be called the same."""

    cross_found: float = 0.98
    """Share of new queries that find the old nearest row in the old gallery from which no new index is needed."""

    kept_nearest: float = 0.95
    """Share of rows whose nearest row is the same from which neighbourhoods are called the same."""

    kept_ten: float = 0.95
    """Share of the ten nearest rows that are kept from which neighbourhoods are called the same."""

    class_loss: float = 0.05
    """Loss of precision at 1 (a fraction) from which, where it is significant, the classes are no longer the same."""

    class_signal: float = 2.0
    """Precision at 1 of the old encoder over chance below which its classes say nothing."""

    unrelated_ten: float = 0.05
    """Share of the ten nearest rows kept, above chance, below which encoders without labels have nothing in common."""

    def with_changes(self, changes: Mapping[str, float] | None) -> DriftThresholds:
        """Return thresholds with some replaced; an unknown name gets the nearest ones."""
        names = [item.name for item in fields(self)]
        for name, value in (changes or {}).items():
            if name not in names:
                raise unknown_name("threshold", name, names)
            if not value >= 0.0:
                raise ConfigError(f"the threshold {name} must be 0 or more", found=str(value))
        return replace(self, **dict(changes or {}))

    def to_dict(self) -> dict[str, float]:
        """Return the thresholds by name."""
        return asdict(self)
