"""`Outcome`: what a protocol found of one encoder, and the rows of a table that say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.core.provenance import Provenance
from repdiag.downstream.protocol import Protocol
from repdiag.metrics.inference.estimate import Estimate
from repdiag.metrics.inference.means import mean_estimate, share_interval

# What every row says, in this order; a protocol that has no such thing says "none".
SAID = (
    *("features", "row_scaling", "batch_norm", "crop", "interpolation", "selection", "epochs"),
    *("last_epoch", "best_on_test", "seeds", "train_images"),
)


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measured value, such as the share of test images that are classified rightly."""

    measure: str
    value: float | None
    low: float | None = None
    high: float | None = None
    method: str | None = None
    n: int = 0
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The scores of one protocol, the one that it is known by first.

    `per_image` [N] holds numbers that average to the first score, where it is a mean over test images, for paired
    tests; `replicates` are the first score of test images drawn with repeats, the same draws for every encoder. `said`
    is what every row says of how it was found, `details` what is worth knowing beside (curves, counts).
    """

    scores: Sequence[Score]
    per_image: Tensor | None = None
    replicates: Tensor | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_table(self, protocol: Protocol, of: Provenance, *, classes: int | None) -> MetricTable:
        """Return one row a score; `params` hold the measure and the settings that differ from the preset."""
        settings = protocol.settings.model_dump(mode="json")
        changed = {name: settings[name] for name in protocol.changes if name not in ("measure", "seed")}
        said = {name: self.said.get(name, "none") for name in SAID}
        rows = [
            MetricRow(
                checkpoint=of.checkpoint,
                epoch=of.epoch,
                dataset=of.dataset,
                split=of.split,
                space="features",
                metric=protocol.name,
                version=protocol.version,
                params={"measure": score.measure, **changed},
                value=score.value,
                ci_low=score.low,
                ci_high=score.high,
                ci_method=score.method,
                n=score.n,
                classes=classes,
                seed=protocol.settings.seed,
                reason=score.reason,
                extra={"protocol": protocol.name, "source": protocol.source, **said, **self.details},
            )
            for score in self.scores
        ]
        return MetricTable(tuple(rows))


def classification_scores(hits: Tensor, labels: Tensor, *, first: str) -> tuple[Score, ...]:
    """Return the share of images that are right and its mean over classes, the one called `first` in front.

    Intervals: test images drawn within their classes, the fitted classifier fixed; Wilson's for the share of images.
    """
    whole = mean_estimate(hits, labels)
    low, high = share_interval(whole, rows=len(hits))
    top1 = Score(measure="top1", value=whole.value, low=low, high=high, method=_METHOD, n=len(hits))
    each = _over_classes(hits.double(), labels)
    low, high = (min(max(end, 0.0), 1.0) for end in each.interval())
    mean = Score(measure="mean_per_class", value=each.value, low=low, high=high, method=_METHOD, n=len(hits))
    return (mean, top1) if first == "mean_per_class" else (top1, mean)


_METHOD = "test images resampled, the classifier fixed"


def _over_classes(hits: Tensor, labels: Tensor) -> Estimate:
    """Return the mean over classes: error^2 = sum_c s_c^2 / n_c / C^2; a class of one image adds no known error."""
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(counts), dtype=torch.float64, device=hits.device)
    means = sums.index_add(0, index, hits) / counts
    spread = sums.index_add(0, index, (hits - means[index]).square()) / (counts - 1).clamp_min(1)
    error = float((spread / counts).sum().sqrt()) / len(counts)
    freedom = float(max(1, len(hits) - len(counts)))
    return Estimate(value=float(means.mean()), error=error, freedom=freedom, method=_METHOD)
