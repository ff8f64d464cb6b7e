"""The metrics that a reader wants first, in the order of the argument: is it any good, does it overfit, what shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from repdiag.core.numbers import show_value

Best = Literal["higher", "lower", "zero", "one", "context"]


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One metric at one setting. `direction` also knows "zero" and "one": best near that value."""

    metric: str
    label: str
    direction: Best
    params: Mapping[str, Any] = field(default_factory=dict)
    percent: bool = False

    @property
    def points(self) -> bool:
        """Whether it is a difference of shares, which is said in points."""
        return self.percent and self.direction == "zero"

    def show(self, value: float) -> str:
        """Return a value in the unit of the metric: shares in percent, differences of shares in points."""
        return f"{100 * value:+.1f} points" if self.points else show_value(value, percent=self.percent)


HEADLINES = (
    Headline(metric="knn_accuracy", label="kNN accuracy, k = 20", direction="higher", params={"k": 20}, percent=True),
    Headline(
        metric="instance_discrimination_accuracy",
        label="Instance discrimination, top-1",
        direction="higher",
        params={"k": 1, "pair": "original-view"},
        percent=True,
    ),
    Headline(metric="pretext_gap", label="Pretext gap, train - val", direction="zero", percent=True),
    Headline(metric="alignment", label="Alignment", direction="lower", params={"pair": "original-view"}),
    Headline(metric="uniformity", label="Uniformity", direction="lower"),
    Headline(metric="intra_class_distance", label="Intra-class distance", direction="lower"),
    Headline(metric="class_distance_ratio", label="Intra / inter distance", direction="lower"),
    Headline(metric="kmeans_purity", label="k-means purity, K = C", direction="higher", percent=True),
    Headline(metric="ami", label="AMI, K = C", direction="higher"),
    Headline(metric="granularity", label="Granularity", direction="one"),
    Headline(metric="r_precision", label="R-precision", direction="higher", percent=True),
    Headline(metric="rankme", label="RankMe", direction="higher"),
)

# They fall or rise with collapse, width and method as well: shown, never called better or best.
CONTEXT = ("alignment", "uniformity", "intra_class_distance", "class_distance_ratio", "rankme")

# What is followed over a training.
MONITORED = (
    *("knn_accuracy", "instance_discrimination_accuracy", "pretext_gap"),
    *("alignment", "uniformity", "intra_class_distance"),
)

_ARROWS = {"higher": "\N{UPWARDS ARROW}", "lower": "\N{DOWNWARDS ARROW}", "zero": "\N{RIGHTWARDS ARROW}0"}
_ARROWS |= {"one": "\N{RIGHTWARDS ARROW}1"}
# Which way is better, where it is.
ARROWS = {one.metric: _ARROWS.get(one.direction, "") for one in HEADLINES if one.metric not in CONTEXT}
