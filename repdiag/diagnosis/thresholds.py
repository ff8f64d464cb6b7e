"""The thresholds of every verdict: one typed object, shown with the verdict, overridable by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from repdiag.core.errors import ConfigError, unknown_name


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where each verdict turns. The defaults are calibrated on spaces with known truth (docs/calibration.md)."""

    overfitting_gap: float = 0.02
    """Instance discrimination on train minus on val (a fraction) up to which there is no overfitting to speak of."""

    overfitting_marked: float = 0.05
    """The same gap from which overfitting is marked; an interval below it rules marked overfitting out."""

    overfitting_severe: float = 0.10
    """The same gap from which overfitting is severe."""

    label_gap: float = 0.08
    """Precision at 1 on train minus on val up to which labels are not overfitted: the most of healthy encoders."""

    label_gap_marked: float = 0.15
    """The same gap from which overfitting to the labels is marked."""

    label_gap_severe: float = 0.25
    """The same gap from which overfitting to the labels is severe."""

    probe_gap: float = 0.05
    """Accuracy of a linear probe on train minus on val up to which labels are not overfitted: the most of healthy."""

    probe_gap_marked: float = 0.12
    """The same gap from which overfitting to the labels is marked; an interval below it rules that out."""

    probe_gap_severe: float = 0.25
    """The same gap from which overfitting to the labels is severe."""

    split_mild: float = 0.15
    """Share of the classes in separate groups up to which these are named and the space is not over-clustered."""

    split_marked: float = 0.25
    """Share of the classes in separate groups from which over-clustering is marked."""

    split_severe: float = 0.5
    """Share of the classes in separate groups from which over-clustering is severe."""

    coarser: float = 0.02
    """AMI that half as many clusters as classes gain (lower end) from which several classes share a cluster."""

    over_granularity: float = 1.5
    """Clusters per class from which a space is over-clustered."""

    under_granularity: float = 0.75
    """Clusters per class below which several classes share a cluster."""

    cluster_signal: float = 0.05
    """AMI at the peak of the over-cluster curve below which the clusters say nothing about the classes."""

    island_gap: float = 0.03
    """Gap statistic of the islands (lower end) below which they count as cuts through one piece."""

    apart: float = 0.95
    """Precision at 1 (lower end) from which classes share no islands, however few clusters agree best."""

    locality_ratio: float = 0.5
    """R-precision over precision at 1, both above chance, below which neighbours of the class are only local."""

    scattered_ratio: float = 0.7
    """Intra- over inter-class distance from which a class is hardly tighter than chance."""

    complete_variance: float = 1e-4
    """Variance of unit rows (1 is the largest) below which all images have one representation."""

    cone_cosine: float = 0.95
    """Mean cosine of random pairs from which the rows lie in a narrow cone."""

    dead_below: float = 1e-3
    """Spread along a direction, relative to the largest, below which the direction is dead."""

    cliff: float = 0.2
    """Spread of a direction over that of the one before it, at or below which the spectrum falls off a cliff."""

    cliff_variance: float = 0.05
    """Share of the variance behind a cliff, up to which the directions there are only noise."""

    dead_share: float = 0.25
    """Share of dead directions from which dimensions are lost."""

    dead_share_sound: float = 0.1
    """Share of dead directions below which none counts as lost."""

    rank_share: float = 0.1
    """Smooth rank over the largest possible one below which the variance lives in hardly any direction."""

    rank_share_sound: float = 0.2
    """Smooth rank over the largest possible one from which the variance fills the space."""

    def to_dict(self) -> dict[str, float]:
        """Return every threshold by name."""
        return asdict(self)

    def only(self, *names: str) -> dict[str, float]:
        """Return the named thresholds, as a finding shows them."""
        return {name: getattr(self, name) for name in names}

    def override(self, values: Mapping[str, float]) -> Thresholds:
        """Return a copy with some thresholds replaced; an unknown name gets the nearest ones."""
        known = [item.name for item in fields(self)]
        for name, value in values.items():
            if name not in known:
                raise unknown_name("threshold", name, known)
            if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
                raise ConfigError(f"threshold {name} must be a number", found=repr(value))
        return replace(self, **{name: float(value) for name, value in values.items()})


DEFAULT_THRESHOLDS = Thresholds()
