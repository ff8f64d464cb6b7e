"""Every two encoders held against each other: one answer a question, as a frame and in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.core.numbers import say_p
from repdiag.diagnosis.compared import MEASURES, Change, compare_encoders
from repdiag.diagnosis.compared_answers import NOT_TOLD_APART, answers

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("first", "second", "question", "answer", "size", "ci_low", "ci_high", "p_holm", "measure")
_NORMAL = 1.959964  # standard errors to each side of a 95 % interval
_MEASURES = {
    "granularity": "granularity",
    "r_precision": "R-precision",
    "precision_at_1": "precision at 1",
    "knn_accuracy": "kNN accuracy",
    "label_gap": "label gap",
    "pretext_gap": "pretext gap",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderSets:
    """One encoder's embeddings of images that it was not trained on, and of some that it was."""

    val: EmbeddingSet
    train: EmbeddingSet | None = None


def pair_answers(
    encoders: Mapping[str, EncoderSets],
    *,
    groups: Any = None,
    seed: int = 0,
    known: Mapping[tuple[str, str], Change] | None = None,
) -> pd.DataFrame:
    """Return the answers of the first of every two encoders against the second.

    `known` are changes of two encoders, first and second by name, that were tested on more images than these sets hold,
    and that count in the place of what these show.

    Columns: `COLUMNS`. `size` is the ratio of granularities for "over_clustering", else a difference of shares; the
    interval is of 95 %, `p_holm` is adjusted over the questions of a pair. Without labels there is nothing to answer,
    and the frame is empty.
    """
    import pandas as pd

    records: list[dict[str, Any]] = []
    for first, second in combinations(encoders, 2):
        mine, its = encoders[first], encoders[second]
        told = (known or {}).get((first, second))
        measures = [measure for measure in MEASURES if told is None or measure != told.measure]
        trains = {"first_train": mine.train, "second_train": its.train}
        try:
            found = compare_encoders(mine.val, its.val, **trains, measures=measures, groups=groups, seed=seed)
        except MetricError:
            continue  # no labels, or no class in common: said by every metric of classes
        if told is not None:
            found = replace(found, changes={**found.changes, told.measure: told})
        for answer in answers(found):
            named = {"first": first, "second": second}
            records.append({**named, **{name: getattr(answer, name) for name in COLUMNS[2:]}})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def accuracy_changes(tests: pd.DataFrame) -> dict[tuple[str, str], Change]:
    """Return the paired tests of kNN accuracy as changes of the first of two encoders against the second."""
    found: dict[tuple[str, str], Change] = {}
    for row in tests[tests["metric"] == "knn_accuracy"].to_dict(orient="records"):
        numbers: dict[str, Any] = {name: float(row[name]) for name in ("ci_low", "ci_high", "p_value")}
        found[str(row["first"]), str(row["second"])] = Change(
            measure="knn_accuracy",
            first=float(row["first_value"]),
            second=float(row["second_value"]),
            change=float(row["difference"]),
            **numbers,
            method=str(row["method"]),
            error=(numbers["ci_high"] - numbers["ci_low"]) / (2 * _NORMAL),
            freedom=math.inf,
            n=int(row["n"]),
        )
    return found


def answer_sentences(frame: pd.DataFrame) -> Iterator[str]:
    """Yield one line a pair: what the first is against the second, by how much, how surely."""
    for (first, second), rows in frame.groupby(["first", "second"], sort=False):
        told = rows.to_dict(orient="records")
        apart = [answer_said(row) for row in told if row["answer"] != NOT_TOLD_APART]
        alike = [str(row["question"]).replace("_", "-") for row in told if row["answer"] == NOT_TOLD_APART]
        parts = [*apart, *([f"not told apart in {', '.join(alike)}"] if alike else [])]
        yield f"{first} against {second}: {'; '.join(parts)}."


def answer_said(row: Mapping[Any, Any]) -> str:
    """Return one answer with its size, interval and p-value in words."""
    name = _MEASURES.get(str(row["measure"]), str(row["measure"]))
    low, high, sure = float(row["ci_low"]), float(row["ci_high"]), say_p(float(row["p_holm"]))
    if row["question"] == "over_clustering":
        return f"{row['answer']} ({name} x {row['size']:.2f} [{low:.2f}, {high:.2f}], {sure})"
    points = f"{100 * row['size']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
    what = {"grouping": "classes grouped ", "accuracy": "accuracy ", "overfitting": ""}[str(row["question"])]
    return f"{what}{row['answer']} ({name} {points}, {sure})"
