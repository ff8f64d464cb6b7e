"""Checkpoints held against one another on the same rows: paired tests of every pair, and which classes changed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.metrics.inference import PairedTest, compare, holm, paired_test
from repdiag.metrics.pairwise import sharing
from repdiag.metrics.registry import Metric, get

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
# Compared row by row, from what the evaluation left of every image; where the rows are each other's gallery and both
# embeddings are at hand, on halves of the rows instead.
BY_ROW: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("knn_accuracy", {"k": 20}),
    ("instance_discrimination_accuracy", {"k": 1, "pair": "original-view"}),
    ("alignment", {"pair": "original-view"}),
    ("precision_at_1", {}),
    ("r_precision", {}),
)
# Means over pairs of rows and spectra: evaluated again on parts of the rows, the same ones for both checkpoints.
BY_PARTS = ("uniformity", "intra_class_distance", "class_distance_ratio", "rankme")
# One class is one test; of the metrics by row these are the ones that a class is good or bad at.
BY_CLASS = ("knn_accuracy", "instance_discrimination_accuracy", "r_precision")
SPACE, SPLIT = "features", "val"
COLUMNS = (
    *("metric", "params", "split", "space", "first", "second", "first_value", "second_value", "difference"),
    *("ci_low", "ci_high", "p_value", "p_holm", "differs", "n", "method"),
)
CLASS_COLUMNS = (
    *("metric", "params", "first", "second", "class_name", "n", "first_value", "second_value", "difference"),
    *("p_value", "p_holm", "differs"),
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One checkpoint: its parts by row (`row_frame`), and its embeddings of val where they are at hand."""

    rows: pd.DataFrame
    embeddings: EmbeddingSet | None = None


def paired_tests(sides: Mapping[str, Side], *, seed: int = 0, classes_drawn: bool = False) -> pd.DataFrame:
    """Test every pair of checkpoints on every compared metric, with Holm's correction over the metrics of a pair.

    Columns: `COLUMNS`; `difference` is first minus second. Equally good checkpoints are called different on any metric
    at most 5 % of the time, whatever else they were compared with. A pair that does not differ is indistinguishable on
    these rows, which is not the same as equal. Images are drawn within classes that are fixed; with `classes_drawn` the
    classes are a sample themselves. Raises `MetricError` where two were not read on the same rows.
    """
    import pandas as pd

    frames = []
    for (first, one), (second, two) in itertools.combinations(sides.items(), 2):
        records = []
        with sharing():
            by_row = list(_tests_by_row(one, two, seed=seed, drawn=classes_drawn))
            found = by_row + list(_tests_by_parts(one, two, seed=seed, drawn=classes_drawn))
        for where, values, test in found:
            named = dict(zip(("first", "second", "first_value", "second_value"), (first, second, *values), strict=True))
            records.append({**where, **named, **_result(test)})
        frames.append(_corrected(records, COLUMNS))
    return pd.concat(frames, ignore_index=True) if frames else _corrected([], COLUMNS)


def class_changes(sides: Mapping[str, Side]) -> pd.DataFrame:
    """Test for every pair of checkpoints which classes changed, with Holm's correction over classes and metrics.

    Columns: `CLASS_COLUMNS`. Inside a class rows are the units: McNemar's test for hits, Student's t otherwise. The
    correction is within a pair, so that a pair reads the same whatever else it was compared with.
    """
    import pandas as pd

    frames = []
    for (first, one), (second, two) in itertools.combinations(sides.items(), 2):
        records = []
        for metric, settings in BY_ROW:
            joined = _joined(one, two, metric, settings) if metric in BY_CLASS else None
            if joined is None or joined["class_name"].isna().all():
                continue
            for name, rows in joined.groupby("class_name", sort=True):
                test = _test(rows)
                if test is not None:
                    means = rows[["value_first", "value_second"]].mean().tolist()
                    record = {"metric": metric, "params": joined.attrs["params"], "class_name": name, **_result(test)}
                    records.append(
                        record | {"first": first, "second": second, "first_value": means[0], "second_value": means[1]}
                    )
        frames.append(_corrected(records, CLASS_COLUMNS))
    return pd.concat(frames, ignore_index=True) if frames else _corrected([], CLASS_COLUMNS)


Found = tuple[dict[str, Any], tuple[float, float], PairedTest]


def _tests_by_row(one: Side, two: Side, *, seed: int, drawn: bool) -> Iterator[Found]:
    for metric, settings in BY_ROW:
        joined = _joined(one, two, metric, settings)
        if joined is None:
            continue
        where = {"metric": metric, "params": joined.attrs["params"], "split": SPLIT, "space": SPACE}
        shared = get(metric).interval == "halves"
        found = _test_of_parts(one, two, get(metric), seed=seed, drawn=drawn) if shared else None
        if found is not None:
            yield where, *found
            continue
        test = _test(joined, strata=True, drawn=drawn)
        if test is not None:
            if shared:
                test = replace(test, method=f"{test.method} (approximate: the gallery is shared)")
            yield where, (joined["value_first"].mean(), joined["value_second"].mean()), test


def _tests_by_parts(one: Side, two: Side, *, seed: int, drawn: bool) -> Iterator[Found]:
    for metric in map(get, BY_PARTS):
        found = _test_of_parts(one, two, metric, seed=seed, drawn=drawn)
        if found is not None:
            yield {"metric": metric.name, "params": "{}", "split": SPLIT, "space": SPACE}, *found


def _test_of_parts(
    one: Side, two: Side, metric: Metric, *, seed: int, drawn: bool
) -> tuple[tuple[float, float], PairedTest] | None:
    """Return both values and the test on the same parts of the rows; None without both embeddings."""
    if one.embeddings is None or two.embeddings is None:
        return None
    both = one.embeddings, two.embeddings
    labels = both[0].labels
    if "labels" in metric.needs and labels is None:
        return None
    given = [
        {name: getattr(each, name) for name in metric.takes if getattr(each, name, None) is not None} for each in both
    ]
    test = compare(metric, *given, labels=labels, groups=labels if drawn else None, seed=seed)
    values = [metric.function(**arguments).value for arguments in given]
    if test is None or values[0] is None or values[1] is None:
        return None
    return (values[0], values[1]), test


def _joined(one: Side, two: Side, metric: str, settings: Mapping[str, Any]) -> pd.DataFrame | None:
    """Return the values of both by row; None where either lacks the metric."""
    first, second = _chosen(one.rows, metric, settings), _chosen(two.rows, metric, settings)
    if first is None or second is None:
        return None
    if set(first["row_id"]) != set(second["row_id"]):
        found = f"{len(first)} and {len(second)} rows of {metric}, not the same ones"
        raise MetricError("two checkpoints were not read on the same rows", found=found)
    joined = first.merge(second[["row_id", "value"]], on="row_id", suffixes=("_first", "_second"))
    joined.attrs["params"] = first.attrs["params"]
    return joined


def _chosen(rows: pd.DataFrame, metric: str, settings: Mapping[str, Any]) -> pd.DataFrame | None:
    """Return the rows of one metric at the first of its settings that agree with those wanted."""
    found = rows[(rows["metric"] == metric) & (rows["space"] == SPACE) & (rows["split"] == SPLIT)]
    for params, part in found.groupby("params", sort=False):
        if settings.items() <= json.loads(str(params)).items():
            once = part.drop_duplicates("row_id")
            once.attrs["params"] = params
            return once
    return None


def _test(rows: pd.DataFrame, *, strata: bool = False, drawn: bool = False) -> PairedTest | None:
    known = rows.dropna(subset=["value_first", "value_second"])
    if len(known) < 2:
        return None
    first, second = (torch.tensor(known[name].to_numpy()) for name in ("value_first", "value_second"))
    named = (strata or drawn) and bool(known["class_name"].notna().all())
    labels = torch.as_tensor(known["class_name"].factorize()[0]) if named else None
    return paired_test(first, second, labels=labels, groups=labels if drawn else None)


def _result(test: PairedTest) -> dict[str, Any]:
    names = ("difference", "ci_low", "ci_high", "p_value", "n", "method")
    return {name: getattr(test, name) for name in names}


def _corrected(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    adjusted = holm([record["p_value"] for record in records])
    full = [{**record, "p_holm": p, "differs": p <= ALPHA} for record, p in zip(records, adjusted, strict=True)]
    return pd.DataFrame.from_records(full, columns=list(columns))
