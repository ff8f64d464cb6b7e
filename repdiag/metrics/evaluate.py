"""`evaluate`: from an `EmbeddingSet` to a `MetricTable`; the only place that checks what a metric needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from statistics import fmean
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from repdiag.core.embedding_set import SPACES, EmbeddingSet, Space
from repdiag.core.errors import MetricError, UsageError
from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.progress import counted
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.embeddings.bank_classes import with_classes_of
from repdiag.embeddings.same_rows import on_same_rows
from repdiag.metrics.effort import at_effort, current_effort
from repdiag.metrics.inference import with_interval
from repdiag.metrics.inference.units import as_groups
from repdiag.metrics.labelled_rows import OF_SEVERAL_LABELS, LabelledRows, labelled, several_labels
from repdiag.metrics.pairwise import PairRequest, over_processes, prefetch, sharing
from repdiag.metrics.protocols import get_protocol
from repdiag.metrics.registry import Metric, Sizes, check_rows, get, load_all

Wanted = str | tuple[str, Mapping[str, Any]]
Metrics = Sequence[Any] | Mapping[str, Any] | str  # each one `Wanted`: what is not gets an error by name
Progress = Callable[[int, int], None]

_WHERE_FROM = {
    "bank": "give the train set as bank (--bank, --bank-labels)",
    "other": "give the second encoder's vectors of the same rows as other (--other)",
}


@dataclass(frozen=True, repr=False)
class Evaluation(MetricTable):
    """A table with the parts behind its values: tensors [N] a row and [C] a class, by the place of the table's row."""

    per_row: dict[int, Tensor] = field(default_factory=dict, compare=False)
    per_class: dict[int, Tensor] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class _Call:
    metric: Metric
    space: Space
    settings: dict[str, Any]
    data: dict[str, Tensor]
    missing: tuple[str, ...]
    rows: Tensor | None = None  # the labelled ones, where a metric of classes leaves others out


def evaluate(
    embeddings: EmbeddingSet | Any,
    metrics: Metrics | None = None,
    *,
    labels: Any = None,
    protocol: str | None = None,
    bank: EmbeddingSet | Any | None = None,
    other: EmbeddingSet | Any | None = None,
    groups: Any = None,
    seed: int = 0,
    intervals: bool = True,
    memory_budget: int | None = None,
    distributed: bool = False,
    quick: bool = False,
    progress: Progress | None = None,
    pass_progress: Progress | None = None,
) -> Evaluation:
    """Return one row a metric, setting and space, as a `MetricTable` that also keeps the parts behind its values.

    `embeddings` is an `EmbeddingSet`, or an array, tensor or file of vectors, with optional `labels`: one number or
    text per row, or a file. `metrics` is one name, several names, or (name, settings) pairs or a mapping; by default
    all default metrics are evaluated, or those of `protocol`. `bank` is the train set for kNN and the pretext gap,
    `other` a second encoder on the same rows. A named metric raises `MetricError` if an input is missing; a default
    metric, or one of a protocol, gets a null row with the reason. `groups` names rows drawn together, one value per row
    (frames of one scene), or is "classes" if the classes are a sample; intervals then resample whole groups. Without
    `intervals`, values come without confidence intervals. With `distributed`, every process of the group makes the same
    call, shares the passes over pairs and gets the whole table. With `quick`, clusterings and intervals take about a
    tenth of the work (one k-means run at fewer numbers of clusters, fewer resamples), so intervals are wider; `params`
    record what was run.

    Example:
        >>> import repdiag
        >>> table = repdiag.evaluate([[1.0, 0.0], [0.0, 1.0]], ["uniformity"])
        >>> table.value(metric="uniformity")
        -4.0
    """
    embeddings = as_embedding_set(embeddings, labels=labels)
    if bank is not None and not isinstance(bank, EmbeddingSet):
        bank = with_classes_of(embeddings, as_embedding_set(bank))
    other = None if other is None else as_embedding_set(other)
    if other is not None:
        other = on_same_rows(embeddings, other, names=("the vectors", "the other encoder"))
    given = embeddings.groups if groups is None else groups
    together = as_groups(given, embeddings.labels, rows=len(embeddings))
    chosen = _chosen(metrics, protocol)
    if metrics is None and protocol is None and embeddings.label_matrix is not None:
        chosen += [(get(name), None) for name in OF_SEVERAL_LABELS]
    with at_effort(quick=quick):
        calls = [
            call
            for space in SPACES
            for call in _plan(embeddings, chosen, space=space, bank=bank, other=other, strict=metrics is not None)
        ]
    known = labelled(embeddings).labels
    classes = None if known is None else len(torch.unique(known))
    rows: list[MetricRow] = []
    per_row: dict[int, Tensor] = {}
    per_class: dict[int, Tensor] = {}
    with (
        at_effort(quick=quick),
        sharing(memory_budget=memory_budget, progress=pass_progress),
        over_processes() if distributed else nullcontext(),
    ):
        prefetch(_requests(calls))
        found, seconds = _values(calls, embeddings, seed=seed)
        for number in counted("intervals", range(len(calls)), weights=_interval_weights(calls, found, seconds)):
            call, value = calls[number], found[number]
            if intervals and value.value is not None:
                value = _bounded(call, value, embeddings, groups=together, seed=seed)
            if value.per_row is not None:
                per_row[number] = _over_all_rows(value, call.rows, rows=len(embeddings))
            if value.per_class is not None:
                per_class[number] = value.per_class
            rows.append(_row(embeddings, call, value, classes=classes, seed=seed))
            if progress is not None:
                progress(number + 1, len(calls))
    return Evaluation(tuple(rows), per_row, per_class)


def _plan(
    embeddings: EmbeddingSet,
    chosen: Sequence[tuple[Metric, Mapping[str, Any] | None]],
    *,
    space: Space,
    bank: EmbeddingSet | None,
    other: EmbeddingSet | None,
    strict: bool,
) -> list[_Call]:
    calls: list[_Call] = []
    cut = LabelledRows(embeddings, bank=bank, other=other)
    for metric, settings in chosen:
        if space not in metric.spaces or (_absent(space, embeddings) and "features" in metric.spaces):
            continue  # that there are no projections is said once, by the metrics that look at nothing else
        asked, second, rows = cut.for_metric(metric)
        data = _data(asked, second, space)
        missing = tuple(name for name in metric.needs if name not in data)
        if _absent(space, embeddings):
            missing = ("projections",)
        if missing and strict:
            found = ", ".join(data or embeddings.available()) + several_labels(embeddings, missing)
            found = "; ".join([found, *_left_out(embeddings)])
            hint = _WHERE_FROM.get(metric.second or "") if any(name.startswith("other_") for name in missing) else None
            raise MetricError(f"{metric.name} needs {', '.join(missing)}", found=f"there are {found}", hint=hint)
        given = {name: data[name] for name in metric.takes if name in data}
        variants = (settings,) if settings is not None else metric.variants_for(_sizes(data))
        calls.extend(_Call(metric, space, dict(variant), given, missing, rows) for variant in variants)
    return calls


def _left_out(embeddings: EmbeddingSet) -> list[str]:
    """Return what reading left aside: what is missed may be among it."""
    return [note.rstrip(".") for note in embeddings.provenance.reading.notes if note.startswith("left out of")]


def _chosen(metrics: Metrics | None, protocol: str | None) -> list[tuple[Metric, Mapping[str, Any] | None]]:
    if metrics is not None and protocol is not None:
        raise MetricError("metrics and protocol exclude each other", hint="give one of them")
    if protocol is not None:
        return [(get(name), settings) for name, settings in get_protocol(protocol).requests]
    if metrics is None:
        return [(metric, None) for metric in load_all().values() if metric.default]
    wanted = [metrics] if isinstance(metrics, str) else metrics.items() if isinstance(metrics, Mapping) else metrics
    return [_named(item) for item in wanted]


def _named(item: Any) -> tuple[Metric, Mapping[str, Any] | None]:
    """Return the metric of a name, or of a (name, settings) with its settings in order."""
    if isinstance(item, str):
        return get(item), None
    if not (isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str)):
        raise UsageError("a metric is a name, or (name, settings)", found=repr(item))
    metric = get(item[0])
    return metric, metric.checked(item[1] or {})


def _data(embeddings: EmbeddingSet, second: EmbeddingSet | None, space: Space) -> dict[str, Tensor]:
    """Return the arrays that are there, under the names that metrics use."""
    if _absent(space, embeddings):
        return {}
    inside = embeddings.in_space(space)
    found = {"features": inside.features, "labels": inside.labels, "views": inside.views}
    found["label_matrix"] = inside.label_matrix
    if second is not None and not _absent(space, second):
        there = second.in_space(space)
        labels = _labels_by_name(second, embeddings.class_names)
        found |= {"other_features": there.features, "other_labels": labels, "other_views": there.views}
        found["other_label_matrix"] = there.label_matrix
    return {name: value for name, value in found.items() if value is not None}


def _labels_by_name(bank: EmbeddingSet, names: tuple[str, ...] | None) -> Tensor | None:
    """Return the bank's labels in the numbers that the rows' classes have: a bank may lack classes, or have more."""
    if bank.labels is None or names is None or bank.class_names is None or names == bank.class_names:
        return bank.labels
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names + bank.class_names))}
    places = torch.tensor([numbers[name] for name in bank.class_names], device=bank.labels.device)
    return torch.where(bank.labels >= 0, places[bank.labels.clamp_min(0)], bank.labels)


def _absent(space: Space, embeddings: EmbeddingSet) -> bool:
    return space == "projections" and embeddings.projections is None


def _sizes(data: Mapping[str, Tensor]) -> Sizes:
    rows, dims = data["features"].shape if "features" in data else (0, 0)
    return Sizes(
        rows=rows,
        dims=dims,
        classes=len(torch.unique(data["labels"])) if "labels" in data else None,
        views=len(data["views"]) if "views" in data else 0,
        bank_rows=len(data["other_features"]) if "other_features" in data else None,
    )


def _requests(calls: Sequence[_Call]) -> list[PairRequest]:
    """Return what all metrics want of the pairs, so that one pass over the tiles serves them."""
    requests: list[PairRequest] = []
    for call in calls:
        if call.metric.reductions is None or call.missing:
            continue
        try:
            check_rows(call.data)
            requests.extend(call.metric.reductions(**call.data, **{**call.metric.settings, **call.settings}))
        except MetricError:
            continue  # the metric itself meets the same error, and its row says so
    return requests


def _values(
    calls: Sequence[_Call], embeddings: EmbeddingSet, *, seed: int
) -> tuple[dict[int, MetricValue], dict[int, float]]:
    """Return the value of every call, and the seconds that it took, clusterings last.

    What several calls share is paid by the first of them, here as in the resampling that follows.
    """
    clustered = [number for number, call in enumerate(calls) if call.metric.interval == "seeds"]
    others = [number for number in range(len(calls)) if number not in clustered]
    found: dict[int, MetricValue] = {}
    seconds: dict[int, float] = {}
    weights = _clustering_weights([calls[number].settings.get("clusters") for number in clustered])
    # Those that take long name their own stages: their costs differ too much for one line to say the time left.
    for number in chain(others, counted("clusterings", clustered, weights=weights)):
        begun = monotonic()
        found[number] = _value(calls[number], embeddings, seed=seed)
        seconds[number] = monotonic() - begun
    return found, seconds


def _clustering_weights(numbers: Sequence[int | None]) -> list[float]:
    """Return about how much work each call is: the first for a number of clusters finds them for all others.

    Few clusters take more iterations and starts: each number costs as much again as half the mean number.
    """
    given = {number for number in numbers if number is not None}
    alike = fmean(given) / 2.0 if given else 1.0
    weights, found = [], set[int]()
    for number in numbers:
        weights.append(alike if number is None else 0.01 * alike if number in found else number + alike)
        found |= set() if number is None else {number}
    return weights


# Work of an interval, as a multiple of that of the value: 20 half-samples of one run each, 30 blocks left out, ...
_TIMES_THE_VALUE = {"seeds": 3.5, "subsample": 10.0, "u_statistic": 1.0, "halves": 1.0}


def _interval_weights(
    calls: Sequence[_Call], values: Mapping[int, MetricValue], seconds: Mapping[int, float]
) -> list[float]:
    """Return about how much work the interval of each call is."""
    return [
        0.01
        + (0.0 if values[number].value is None else _TIMES_THE_VALUE.get(call.metric.interval, 0.1)) * seconds[number]
        for number, call in enumerate(calls)
    ]


def _arguments(call: _Call, *, seed: int) -> dict[str, Any]:
    told = {"seed": seed, **current_effort().settings}
    given = {name: value for name, value in told.items() if name in call.metric.settings}
    return {**call.data, **given, **call.settings}


def _value(call: _Call, embeddings: EmbeddingSet, *, seed: int) -> MetricValue:
    if call.missing:
        why = f"needs {', '.join(call.missing)}{several_labels(embeddings, call.missing)}"
        return undefined(why, n=len(embeddings), **call.settings)
    try:
        return call.metric.function(**_arguments(call, seed=seed))
    except MetricError as error:
        return _refused(call, error, rows=len(embeddings))


def _bounded(
    call: _Call, value: MetricValue, embeddings: EmbeddingSet, *, groups: Tensor | None, seed: int
) -> MetricValue:
    """Return the value with its interval."""
    labels = embeddings.labels if call.rows is None else call.data.get("labels")
    mine = groups if groups is None or call.rows is None else groups[call.rows]
    try:
        return with_interval(call.metric, value, _arguments(call, seed=seed), labels=labels, groups=mine, seed=seed)
    except MetricError as error:
        return _refused(call, error, rows=len(embeddings))


def _refused(call: _Call, error: MetricError, *, rows: int) -> MetricValue:
    return undefined(f"{error.problem}: {error.found}" if error.found else error.problem, n=rows, **call.settings)


def _over_all_rows(value: MetricValue, asked: Tensor | None, *, rows: int) -> Tensor:
    """Return the parts of all rows [N], NaN where a row has none; `asked` are those that the metric was given."""
    assert value.per_row is not None
    if value.rows is None and asked is None:
        return value.per_row
    whose = value.rows if asked is None else asked if value.rows is None else asked[value.rows]
    assert whose is not None
    if len(whose) != len(value.per_row):
        return value.per_row  # of views or of another set
    return value.per_row.new_full((rows,), float("nan"), dtype=torch.float64).index_copy(
        0, whose, value.per_row.double()
    )


def _row(embeddings: EmbeddingSet, call: _Call, value: MetricValue, *, classes: int | None, seed: int) -> MetricRow:
    source = embeddings.provenance
    return MetricRow(
        checkpoint=source.checkpoint,
        epoch=source.epoch,
        dataset=source.dataset,
        split=source.split,
        space=call.space,
        metric=call.metric.name,
        version=call.metric.version,
        params=dict(value.params),
        value=value.value,
        ci_low=value.ci_low,
        ci_high=value.ci_high,
        ci_method=value.ci_method,
        n=value.n,
        classes=classes,
        seed=call.settings.get("seed", seed) if "seed" in call.metric.settings else None,
        reason=value.reason,
        extra=_by_name(embeddings, value.extra),
    )


def _by_name(embeddings: EmbeddingSet, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a metric said of single classes under their names, and of rows under theirs."""
    found = dict(extra)
    for key in ("split", "too_few_rows"):
        if isinstance(found.get(key), Mapping):
            found[key] = {embeddings.class_name(int(label)): item for label, item in found[key].items()}
    return found
