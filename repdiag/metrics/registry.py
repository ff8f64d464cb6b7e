"""The metric registry: the signature of a metric is its declaration."""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, ParamSpec, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.arrays import TEXT_KINDS, listed, to_array, to_class_names, to_class_numbers, to_floating
from repdiag.core.entry_points import Group, installed
from repdiag.core.errors import MetricError, unknown_name
from repdiag.core.metric_value import MetricValue
from repdiag.metrics.settings import checked_settings

log = logging.getLogger(__name__)

P = ParamSpec("P")
Direction = Literal["higher", "lower", "context"]
Second = Literal["bank", "other"]
Family = Literal[
    "hypersphere",
    "classes",
    "clusters",
    "pretext",
    "neighbors",
    "spectrum",
    "similarity",
    "probes",
    "transfer",
    "external",
]
Comparable = Literal["encoders", "one method"]
Interval = Literal["per_query", "u_statistic", "seeds", "subsample", "halves", "two_sets", "own", "none"]

DATA_PARAMETERS = (
    "features",
    "labels",
    "label_matrix",
    "views",
    "other_features",
    "other_labels",
    "other_label_matrix",
    "other_views",
)
# Sums of fourth powers over millions of rows and thousands of dimensions, and products of two such sums, stay finite.
LARGEST = 2.0**105
ENTRY_POINT_GROUP: Group = "repdiag.metrics"
FAMILIES = (
    "hypersphere",
    "classes",
    "clusters",
    "pretext",
    "neighbors",
    "spectrum",
    "similarity",
    "probes",
    "transfer",
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a metric may look at to choose its default settings: counts, never values."""

    rows: int
    dims: int
    classes: int | None
    views: int
    bank_rows: int | None


OnParts = Callable[[NDArray[np.int64]], float | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A metric by name with its arguments on one gallery, and which rows of the set that holds (None: all of them)."""

    metric: str
    arguments: Mapping[str, Any]
    rows: Tensor | None = None


Sides = tuple[Sequence[Part], Sequence[Part]]
Variants = Sequence[Mapping[str, Any]] | Callable[[Sizes], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A registered metric: its function and everything that is declared about it, once.

    `variants` are the settings that `evaluate` runs by default, one row of the table each. `needs` are the data
    parameters, read from the signature. `second` says whether `other_*` is a bank (the train set) or a second
    encoder on the same rows. `interval` names how its confidence interval is made ("own": by itself);
    `blocks_left_out`: its error falls less with the number of rows than halves of them assume. `on_parts` gives its
    value on any part of the rows without a search of their own; `sides` names the metric on the galleries of
    the bank and on those of the rows, the difference of whose means it is. `comparable` says between what a difference
    means better or worse: any encoders, or those of one training method. `reductions` lists what it wants from the
    shared pass over similarity tiles (metrics/pairwise)."""

    name: str
    family: Family
    function: Callable[..., MetricValue]
    direction: Direction
    bounds: tuple[float, float]
    invariances: frozenset[str]
    version: int
    reference: str
    second: Second | None
    interval: Interval
    blocks_left_out: bool
    variants: Variants
    spaces: tuple[str, ...]
    default: bool
    comparable: Comparable
    reductions: Callable[..., Sequence[Any]] | None
    on_parts: Callable[..., OnParts] | None
    sides: Callable[..., Sides] | None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the data parameters without a default."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.name in DATA_PARAMETERS and p.default is p.empty)

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of all data parameters, optional ones included."""
        return tuple(p for p in inspect.signature(self.function).parameters if p in DATA_PARAMETERS)

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword settings with their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in DATA_PARAMETERS}

    def checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings as plain values; a wrong one, or one that there is not, is a `UsageError`."""
        return checked_settings(self.function, settings, known=self.settings)

    def variants_for(self, sizes: Sizes) -> tuple[dict[str, Any], ...]:
        """Return the settings to evaluate on data of these sizes."""
        chosen = self.variants(sizes) if callable(self.variants) else self.variants
        return tuple(dict(variant) for variant in chosen) or ({},)


_REGISTRY: dict[str, Metric] = {}


def metric(
    *,
    direction: Direction,
    bounds: tuple[float, float],
    invariances: Iterable[str],
    version: int,
    reference: str,
    interval: Interval = "none",
    blocks_left_out: bool = False,
    second: Second | None = None,
    variants: Variants = (),
    spaces: tuple[str, ...] = ("features", "projections"),
    default: bool = True,
    comparable: Comparable = "encoders",
    reductions: Callable[..., Sequence[Any]] | None = None,
    on_parts: Callable[..., OnParts] | None = None,
    sides: Callable[..., Sides] | None = None,
    family: Family | None = None,
) -> Callable[[Callable[P, MetricValue]], Callable[P, MetricValue]]:
    """Register a metric under its function's name and give it the common door.

    The door accepts arrays and tensors of any device, checks shapes and finiteness of the data parameters, holds the
    settings against their annotations, and completes `params` of the result with the settings of the call. A result
    that is not finite is an error. Data may be given by position, in the order features, labels, views, other_*; one
    view [N, D] is taken for [1, N, D]. The function itself stays pure.
    """

    def register(function: Callable[P, MetricValue]) -> Callable[P, MetricValue]:
        signature = inspect.signature(function)
        parameters, name = signature.parameters, function.__name__
        by_position = [parameter for parameter in parameters if parameter in DATA_PARAMETERS]

        @functools.wraps(function)
        def door(*args: Any, **kwargs: Any) -> MetricValue:
            named = _by_name(name, args, kwargs, by_position)
            settings = {key: value for key, value in named.items() if key not in DATA_PARAMETERS}
            bound = signature.bind(**{**named, **_REGISTRY[name].checked(settings)})
            bound.apply_defaults()
            data = {name: value for name, value in bound.arguments.items() if name in DATA_PARAMETERS}
            optional = {name for name, value in data.items() if value is None and parameters[name].default is None}
            given = number_text_labels({name: value for name, value in data.items() if name not in optional})
            bound.arguments.update({name: as_tensor(name, value) for name, value in given.items()})
            _one_view_is_enough(bound.arguments)
            check_rows(bound.arguments)
            if second == "bank":
                _check_same_space(bound.arguments)
            result = function(*bound.args, **bound.kwargs)
            settings = {k: v for k, v in bound.arguments.items() if k not in DATA_PARAMETERS and v is not None}
            settings.pop("generator", None)
            result = _checked_result(name, result)
            return _with_params(result, {**settings, **result.params})

        if name in _REGISTRY and _REGISTRY[name].function.__module__ != function.__module__:
            raise MetricError(f"two metrics are named {name!r}", found=_REGISTRY[name].function.__module__)
        _REGISTRY[name] = Metric(
            name=name,
            family=family or cast(Family, _family_of(function.__module__)),
            function=door,
            direction=direction,
            bounds=bounds,
            invariances=frozenset(invariances),
            version=version,
            reference=reference,
            second=second,
            interval=interval,
            blocks_left_out=blocks_left_out,
            variants=variants,
            spaces=spaces,
            default=default,
            comparable=comparable,
            reductions=reductions,
            on_parts=on_parts,
            sides=sides,
        )
        return cast(Callable[P, MetricValue], door)

    return register


def _by_name(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], data: Sequence[str]) -> dict[str, Any]:
    """Return all arguments by name; those given by position are the metric's data, in order."""
    given = dict(zip(data, args, strict=False))
    if len(args) > len(data):
        raise MetricError(
            f"{name} takes {len(data)} arrays: {', '.join(data)}",
            found=f"{len(args)}",
            hint="settings must be given by name",
        )
    twice = sorted(given.keys() & kwargs.keys())
    if twice:
        raise MetricError(f"{name} was given {', '.join(twice)} twice", found="by position and by name")
    return {**given, **kwargs}


def _one_view_is_enough(arguments: dict[str, Any]) -> None:
    """Take one view [N, D] for [1, N, D], where it has the shape of the rows that it shows."""
    for base, name in (("features", "views"), ("other_features", "other_views")):
        rows, views = arguments.get(base), arguments.get(name)
        if rows is not None and views is not None and views.ndim == 2 and views.shape == rows.shape:
            arguments[name] = views[None]


def get(name: str) -> Metric:
    """Return one registered metric; a typo gets the nearest name."""
    known = load_all()
    if name not in known:
        raise unknown_name("metric", name, known)
    return known[name]


def load_all() -> dict[str, Metric]:
    """Return every metric by name: ours, and those that installed packages register."""
    for family in FAMILIES:
        importlib.import_module(f"repdiag.metrics.{family}")  # importing registers; families do not know each other
    installed(ENTRY_POINT_GROUP)  # importing registers, in other packages too
    return dict(sorted(_REGISTRY.items()))


def number_text_labels(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data with text labels as numbers, the same number for the same text in the rows and in the bank."""
    names = [name for name in ("labels", "other_labels") if name in data]
    arrays = {name: to_array(name, data[name]) for name in names if not isinstance(data[name], Tensor)}
    text = {name: to_class_names(name, array) for name, array in arrays.items() if array.dtype.kind in TEXT_KINDS}
    if not text:
        return dict(data)
    if len(text) < len(names):
        raise MetricError(
            "labels of the rows and of the bank have different types", found=f"text for {', '.join(text)}"
        )
    known = np.unique(np.concatenate([array.ravel() for array in text.values()]))
    return {**data, **{name: np.searchsorted(known, array) for name, array in text.items()}}


def as_tensor(name: str, value: Any) -> Tensor:
    """Return `value` as a tensor on its own device; labels as int64, everything else floating point."""
    return to_class_numbers(name, value) if name.endswith("labels") else to_floating(name, value)


def check_rows(arguments: Mapping[str, Any]) -> None:
    """Raise `MetricError` for empty, misaligned or non-finite data, naming what and how many."""
    for name in DATA_PARAMETERS:
        value = arguments.get(name)
        if value is None:
            continue
        rank = {"views": 3, "other_views": 3, "labels": 1, "other_labels": 1}.get(name, 2)
        if value.ndim != rank:
            raise MetricError(f"{name} must have {rank} axes", found=f"shape {tuple(value.shape)}")
        if value.numel() == 0:
            raise MetricError(f"{name} is empty", found=f"shape {tuple(value.shape)}")
        if value.is_floating_point():
            _check_finite(name, value)
    _check_aligned(arguments, "features", ("labels", "label_matrix"))
    _check_aligned(arguments, "other_features", ("other_labels", "other_label_matrix"))
    for base, name in (("features", "views"), ("other_features", "other_views")):
        rows, views = arguments.get(base), arguments.get(name)
        if rows is not None and views is not None and views.shape[1:] != rows.shape:
            found = f"{name} {tuple(views.shape)}, {base} {tuple(rows.shape)}"
            raise MetricError(f"{name} must hold the same rows and dimensions as {base}", found=found)


def _check_aligned(arguments: Mapping[str, Any], first: str, others: tuple[str, ...]) -> None:
    base = arguments.get(first)
    for name in others:
        value = arguments.get(name)
        if base is not None and value is not None and len(value) != len(base):
            raise MetricError(f"{name} and {first} differ in length", found=f"{len(value)} and {len(base)}")


def _check_same_space(arguments: Mapping[str, Any]) -> None:
    features, bank = arguments.get("features"), arguments.get("other_features")
    if features is not None and bank is not None and features.shape[1] != bank.shape[1]:
        found = f"{features.shape[1]} and {bank.shape[1]}"
        raise MetricError("the rows and the bank differ in dimension: they come from different encoders", found=found)


def _check_finite(name: str, value: Tensor) -> None:
    """One pass in the usual case: the extremes of an array are NaN or infinite where anything in it is."""
    low, high = (float(extreme) for extreme in torch.aminmax(value))
    largest = max(abs(low), abs(high))
    if math.isfinite(low) and math.isfinite(high):
        if largest > LARGEST or 0.0 < largest < 1.0 / LARGEST:
            raise MetricError(
                f"the scale of {name} is out of range: its fourth powers leave double precision",
                found=f"values up to {largest:.3g}",
                hint="multiply all features by one factor; nearly all metrics are independent of scale",
            )
        return
    bad = ~torch.isfinite(value).all(dim=-1)
    rows = bad.any(dim=0).nonzero().flatten() if value.ndim == 3 else bad.nonzero().flatten()
    raise MetricError(
        f"{name} has NaN or infinite values in {len(rows)} rows",
        found=f"rows {listed(rows.tolist())}",
        hint="drop or repair these rows; half precision overflows above 65504",
    )


def _checked_result(name: str, result: Any) -> MetricValue:
    """Return what a metric gave, with a plain number for its value: those of other packages may give a tensor."""
    if not isinstance(result, MetricValue):
        raise MetricError(f"{name} must return a MetricValue", found=type(result).__name__)
    if result.value is None:
        return result
    value = float(result.value)
    if not math.isfinite(value):
        raise MetricError(f"{name} gave a value that is not finite", found=str(value))
    return result if isinstance(result.value, float) else replace(result, value=value)


def _with_params(result: MetricValue, params: dict[str, Any]) -> MetricValue:
    return replace(result, params=params)


def _family_of(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["repdiag", "metrics"] and len(parts) > 3 else "external"
