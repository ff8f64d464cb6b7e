"""What every registered metric promises, checked both ways: declared properties hold, undeclared ones fail."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from registered import (
    CLASSES,
    METRICS,
    ROWS,
    SETTINGS,
    TRANSFORMATIONS,
    arguments,
    call,
    draw,
    each_tensor,
    outcome,
    sample,
)
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise import passes, sharing

NAMES = sorted(METRICS)
BANK_ARRAYS = ("bank_features", "same_size_bank", "same_size_bank_views")
DECLARED = [(name, kind) for name in NAMES for kind in TRANSFORMATIONS if kind in METRICS[name].invariances]
# Twenty of them run k-means several times over: their witnesses are few.
WITNESSES = 6
HOLDS = {"rel": 1e-9, "abs": 1e-9}
# Not declared, since rounding may turn a tie of k-means, but nothing more than such a tie would be a witness.
ONLY_TIES = {("sub_clusters", "rotation")}
# One vote each makes ties, and the published estimator gives them to the smaller label.
TIES_BY_LABEL = {"best_nn"}
UNDECLARED = [
    (name, kind)
    for name in NAMES
    for kind in TRANSFORMATIONS
    if kind not in METRICS[name].invariances and (name, kind) not in ONLY_TIES
]


def within_bounds(name: str, value: float, *, slack: float = 1e-9) -> bool:
    low, high = METRICS[name].bounds
    return math.isfinite(value) and low - slack <= value <= high + slack


@functools.lru_cache
def expected(name: str, seed: int = 0) -> float:
    return float(call(METRICS[name], sample(seed)))


@pytest.mark.parametrize(("name", "kind"), DECLARED)
def test_declared_invariances_hold(name: str, kind: str) -> None:
    found = float(call(METRICS[name], TRANSFORMATIONS[kind](sample())))
    assert found == pytest.approx(expected(name), **HOLDS)


@pytest.mark.parametrize(("name", "kind"), UNDECLARED)
def test_undeclared_invariances_fail_on_a_witness(name: str, kind: str) -> None:
    for seed in range(0, 100 * WITNESSES, 100):
        found = float(call(METRICS[name], TRANSFORMATIONS[kind](sample(seed))))
        if found != pytest.approx(expected(name, seed), **HOLDS):
            return
    pytest.fail(f"{name} did not change under {kind} on {WITNESSES} draws: declare the invariance")


def test_only_known_invariances_are_declared() -> None:
    assert {kind for metric in METRICS.values() for kind in metric.invariances} <= set(TRANSFORMATIONS)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "labels" in METRICS[name].takes and name not in TIES_BY_LABEL]
)
def test_the_numbers_of_the_classes_do_not_count(name: str) -> None:
    """Labels are names: any others, in any order, with gaps and below zero, give the same value and interval."""
    value = call(METRICS[name], sample())
    for names in (torch.tensor([40, -3, 7, 2]), torch.tensor([1, 2, 3, 0])):
        renamed = call(METRICS[name], {k: names[v] if "labels" in k else v for k, v in sample().items()})
        assert float(renamed) == pytest.approx(float(value), rel=1e-9, abs=1e-12)
        assert (renamed.ci_low, renamed.ci_high) == (value.ci_low, value.ci_high)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 100])
def test_values_lie_within_their_bounds_and_inputs_stay_as_they_are(name: str, seed: int) -> None:
    data = sample(seed)
    before = {key: value.clone() for key, value in data.items()}
    value = call(METRICS[name], data)
    assert within_bounds(name, float(value))
    assert value.n > 0
    assert all(torch.equal(data[key], before[key]) for key in data)


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_give_the_same_bits(name: str) -> None:
    assert float(call(METRICS[name], sample())) == expected(name)


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_close_to_float64(name: str) -> None:
    single = {key: value.float() if value.is_floating_point() else value for key, value in sample().items()}
    rounded = each_tensor(single, lambda _, value: value.double())
    found, expected = float(call(METRICS[name], single)), float(call(METRICS[name], rounded))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].reductions is not None])
def test_no_tile_size_changes_a_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = each_tensor(sample(), lambda _, value: value.float())
    whole = float(call(METRICS[name], data))
    for side in (32, 9):
        monkeypatch.setattr(passes, "_CPU_TILE", side)
        assert float(call(METRICS[name], data)) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_sharing_does_not_change_a_value(name: str) -> None:
    data = sample()
    with sharing():
        assert [float(call(METRICS[name], data)) for _ in range(2)] == [expected(name)] * 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused_by_name(name: str, bad: float) -> None:
    data = sample()
    for key, value in data.items():
        if value.is_floating_point():
            (value[0] if value.ndim == 3 else value)[3, 1] = bad
        data[key] = value
    with pytest.raises(MetricError, match=r"NaN or infinite values in 1 rows[\s\S]*rows 3"):
        call(METRICS[name], data)


def first(data, count: int):
    return {key: value[:, :count] if value.ndim == 3 else value[:count] for key, value in data.items()}


def with_duplicates(data):
    twice = {True: torch.arange(len(data["bank_labels"])), False: torch.arange(ROWS) // 2}
    picks = {key: twice[key.startswith("bank")] for key in data}
    return {key: value[:, picks[key]] if value.ndim == 3 else value[picks[key]] for key, value in data.items()}


def with_a_singleton(data):
    labels = data["labels"].clone()
    labels[5] = CLASSES + 7
    return {**data, "labels": labels}


def alternately(value: Tensor) -> Tensor:
    return value * torch.where(torch.arange(value.shape[-2]) % 2 == 0, 1e9, 1e-9)[:, None]


AWKWARD = {
    "one row": lambda data: first(data, 1),
    "two rows": lambda data: first(data, 2),
    "constant": lambda data: each_tensor(data, lambda _, value: torch.ones_like(value)),
    "zeros": lambda data: each_tensor(data, lambda _, value: torch.zeros_like(value)),
    "huge and tiny": lambda data: each_tensor(data, lambda _, value: alternately(value)),
    "duplicates": with_duplicates,
    "one class": lambda data: {k: torch.zeros_like(v) if "labels" in k else v for k, v in data.items()},
    "singleton classes": lambda data: {k: torch.arange(len(v)) if "labels" in k else v for k, v in data.items()},
    "one singleton class": with_a_singleton,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("precision", [torch.float64, torch.float32])
def test_awkward_data_gives_a_value_a_reason_or_a_named_error(name: str, kind: str, precision: torch.dtype) -> None:
    data = each_tensor(AWKWARD[kind](sample()), lambda _, value: value.to(precision))
    value = outcome(METRICS[name], data)
    if value is None:
        return
    if value.value is None:
        assert value.reason
    else:
        assert within_bounds(name, value.value, slack=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_parts_average_to_the_value_or_are_one_a_query(name: str) -> None:
    value = call(METRICS[name], sample())
    if value.per_row is not None:
        assert value.per_row.ndim == 1
        assert bool(torch.isfinite(value.per_row).all())
    if METRICS[name].interval in {"per_query", "halves"} and value.per_row is not None:
        assert float(value.per_row.double().mean()) == pytest.approx(float(value), rel=1e-9, abs=1e-12)
    if value.influence is not None:
        assert float(value.influence.double().mean()) == pytest.approx(float(value), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_arrays_are_taken_like_tensors(name: str) -> None:
    metric = METRICS[name]
    tensors = arguments(metric, sample())
    arrays = {key: value.numpy() for key, value in tensors.items()}
    assert float(metric.function(**arrays, **SETTINGS.get(name, {}))) == expected(name)


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].second == "bank"])
def test_a_bank_of_another_dimension_is_refused(name: str) -> None:
    data = sample()
    wide = {key: draw(50, *value.shape[:-1], value.shape[-1] + 2) for key, value in data.items() if key in BANK_ARRAYS}
    with pytest.raises(MetricError, match="differ in dimension"):
        call(METRICS[name], {**data, **wide})
