"""No setting gives a number by mistake: names that are not offered, NaN, counts below one are refused by name."""

from __future__ import annotations

import math
import typing

import numpy as np
import pytest
import torch
from registered import METRICS, call, sample

import repdiag
from repdiag.core.errors import ConfigError, MetricError, UsageError
from repdiag.core.metric_value import MetricValue
from repdiag.metrics.settings import Count, Positive, Share, allowed_settings, checked_settings

WRONG: dict[type, tuple[object, ...]] = {
    str: ("typo", "", 3, None, True),
    bool: ("yes", 2, 0, math.nan),
    int: (math.nan, 1.5, "3", True, -1),
    float: (math.nan, math.inf, -1.0, "2", True),
}
# None is one of their values.
MAY_BE_NONE = {"center_batch", "clamp", "clusters", "penalty"}
KINDS = {"average": str, "center_batch": int, "clamp": float, "clusters": int, "gallery": int, "penalty": float}
EVERY = [(name, setting) for name in sorted(METRICS) for setting in METRICS[name].settings]


@pytest.mark.parametrize(("name", "setting"), EVERY)
def test_what_a_setting_cannot_be_is_refused_by_name(name: str, setting: str) -> None:
    metric = METRICS[name]
    kind = KINDS.get(setting) or type(metric.settings[setting])
    may_be_none = setting in MAY_BE_NONE or metric.settings[setting] is None
    wrong = [value for value in (*WRONG[kind], None) if value is not None or not may_be_none]
    for value in wrong:
        with pytest.raises((ConfigError, MetricError), match=setting):
            call(metric, sample(), **{setting: value})


@pytest.mark.parametrize("name", ["uniformity", "nc1", "knn_accuracy"])
def test_a_setting_that_there_is_not_gets_the_nearest_names(name: str) -> None:
    setting = next(iter(METRICS[name].settings))
    with pytest.raises(UsageError, match=rf"unknown setting of {name}[\s\S]*{setting}"):
        call(METRICS[name], sample(), **{f"{setting}x": 1})


def test_settings_of_any_number_type_are_written_alike() -> None:
    """A table is read by its params: 3 and 3.0 must not look like two settings, nor end the writing of a frame."""
    rows = sample()["features"]
    for k, normalize, t in ((3, True, 2), (np.int64(3), np.bool_(True), np.float32(2))):
        table = repdiag.evaluate(
            rows, [("hubness", {"k": k, "normalize": normalize}), ("uniformity", {"t": t})], intervals=False
        )
        assert table.to_frame()["params"].tolist() == ['{"k": 3, "normalize": true}', '{"t": 2.0}']


def test_evaluate_refuses_a_setting_before_it_computes_anything() -> None:
    for settings in ({"k": 0}, {"k": "ten"}, {"neighbours": 10}):
        with pytest.raises(UsageError, match=r"hubness"):
            repdiag.evaluate(sample()["features"], ["uniformity", ("hubness", settings)])


def test_a_potential_that_grows_with_distance_is_not_zero_uniformity() -> None:
    """log mean exp(+d^2) is above zero, which clamping to the range would turn into perfect collapse."""
    with pytest.raises(ConfigError, match="t of uniformity must be a number above 0"):
        repdiag.metrics.uniformity(sample()["features"], t=-1.0)


def test_a_value_that_is_not_finite_is_an_error() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(MetricError, match="alignment gave a value that is not finite"):
        repdiag.metrics.alignment(rows, -rows[None], alpha=1e4)


def free(
    rows: typing.Any,
    *,
    any_way=3,
    way: typing.Literal["here", "there"] = "here",
    share: Share | None = None,
    count: Count = 1,
    rate: Positive = 1.0,
    flag: bool = True,
) -> MetricValue:
    """Never called: only its annotations are read."""


def unresolved(rows: "Nowhere", *, k: "Nowhere" = 3) -> MetricValue:  # type: ignore[name-defined]
    """Never called: its annotations name what is not there."""


def test_other_annotations_say_nothing() -> None:
    checked_settings(free, {"any_way": object(), "share": None}, known=("any_way", "share"))
    checked_settings(unresolved, {"k": "x"}, known=("k",))


def test_what_is_allowed_reads_as_text() -> None:
    names = ("any_way", "way", "share", "count", "rate", "flag")
    assert allowed_settings(free, names) == {
        "way": "one of here, there",
        "share": "a number above 0, at most 1 or None",
        "count": "a whole number at least 1",
        "rate": "a number above 0",
        "flag": "True or False",
    }
    with pytest.raises(ConfigError, match="share of free must be a number above 0, at most 1 or None"):
        checked_settings(free, {"share": 2.0}, known=("share",))
