"""Which encoder to take: by the scores that follow a probe's accuracy, with the probability that each is best.

Of the scores tried over 12 encoders and 3 tasks LogME, R-precision and a small probe order encoders best (Spearman with
a large probe .90, .81, .80); all are read on the same rows, and on the same halves of them, so that what the rows have
in common cancels. What an encoder costs stands beside: the largest one is often the best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.encoder_cost import EncoderCost
from repdiag.core.errors import MetricError
from repdiag.core.plain_records import plain_records
from repdiag.embeddings.same_rows import on_same_rows
from repdiag.metrics.pairwise import sharing
from repdiag.metrics.probes.ridge_halves import dealt_halves, fit_halves, same_share
from repdiag.metrics.registry import get

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("checkpoint", "rank", "p_best", "by", "parameters", "width", "gflops", "ms_per_image")
BY_LABELS, BY_VIEWS = ("logme", "r_precision", "probe"), ("instance_discrimination_accuracy",)
MAX_ROWS, HALVES, DRAWS = 4000, 24, 20_000
CLEAR = 0.95
Score = Callable[[EmbeddingSet], float | None]


@dataclass(frozen=True)
class Ranking:
    """The encoders in order (columns: `COLUMNS`, a row for each encoder and score), and what that means in words."""

    frame: pd.DataFrame
    summary: str

    @property
    def headline(self) -> str:
        """Return which encoder to take, how surely, and what it costs, in one or two sentences."""
        return _headline(self.frame)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: the sentences and the rows."""
        return {"headline": self.headline, "summary": self.summary, "rows": plain_records(self.frame)}


def rank_encoders(
    sets: Mapping[str, EmbeddingSet],
    costs: Mapping[str, EncoderCost] | None = None,
    *,
    max_rows: int = MAX_ROWS,
    seed: int = 0,
) -> Ranking:
    """Order encoders that were read on the same rows, by each score, with the probability that each is the best.

    Formula:      s_e the score of encoder e on all rows, V the covariance of the scores of all encoders over 24 halves
                  of the rows (each class halved, without replacement); p_best(e) = P(argmax t = e), t from Student's
                  t distribution with 23 degrees of freedom around s with scale V
    Shapes:       sets: {name: features [N, D_e]}; at most `max_rows` rows are used, the same share of every class.
    Scores:       with labels "logme", "r_precision" and "probe" (ridge regression on one half of the rows, accuracy on
                  the other, both ways; every dimension standardised, the penalty by leave-one-out error); without
                  labels "instance_discrimination_accuracy", which needs views.
    Range:        p_best in [0, 1], summing to 1 over the encoders of a score. Ties in rank share the smaller number.
    Errors:       `MetricError` for other rows, for no encoder, or where neither labels nor views are there; `DataError`
                  where two sets give other labels to the same rows. Unlabelled rows are left out.
    Reference:    You et al. 2021 for LogME; arXiv 2510.06448 for model size as the baseline to beat.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> labels, noise = torch.arange(120) % 4, torch.randn(120, 8, generator=draw)
        >>> centres = torch.randn(4, 8, generator=draw)[labels]
        >>> sets = {f: EmbeddingSet(features=centres + s * noise, labels=labels) for f, s in (("a", 2), ("b", 0.3))}
        >>> frame = rank_encoders(sets).frame
        >>> frame[frame["by"] == "logme"][["checkpoint", "rank"]].values.tolist()
        [['b', 1], ['a', 2]]
    """
    import pandas as pd

    if not sets:
        raise MetricError("there is no encoder to rank")
    chosen = _same_rows(sets, max_rows=max_rows, seed=seed)
    records: list[dict[str, Any]] = []
    left_out: list[str] = []
    for by, score in _scores(chosen, seed=seed).items():
        scored = _scored(chosen, score, seed=seed)
        if scored is None:
            left_out.append(by)
            continue
        values, chances = scored
        order = np.argsort(-values, kind="stable")
        for place in order:
            name = list(chosen)[place]
            cost = (costs or {}).get(name, EncoderCost())
            records.append(
                {
                    "checkpoint": name,
                    "rank": int((values > values[place]).sum()) + 1,
                    "p_best": float(chances[place]),
                    "by": by,
                    "parameters": cost.parameters,
                    "width": cost.width if cost.width is not None else chosen[name].features.shape[1],
                    "gflops": cost.gflops,
                    "ms_per_image": cost.ms_per_image,
                }
            )
    if not records:
        raise MetricError("no score could be computed", found=", ".join(left_out), hint="give rows of two classes")
    frame = pd.DataFrame.from_records(records, columns=list(COLUMNS))
    return Ranking(frame=frame, summary=_summary(frame))


def _scores(sets: Mapping[str, EmbeddingSet], *, seed: int) -> dict[str, Score]:
    if all(each.labels is not None for each in sets.values()):
        return {
            "logme": lambda rows: get("logme").function(features=rows.features, labels=rows.labels).value,
            "r_precision": lambda rows: get("r_precision").function(features=rows.features, labels=rows.labels).value,
            "probe": lambda rows: probe_accuracy(rows.features, _labels(rows), seed=seed),
        }
    if all(each.views is not None for each in sets.values()):
        name = BY_VIEWS[0]
        return {name: lambda rows: get(name).function(features=rows.features, views=rows.views).value}
    raise MetricError("encoders are ranked by labels, or by views of the images", found="neither in all of the sets")


def probe_accuracy(features: Tensor, labels: Tensor, *, seed: int = 0) -> float | None:
    """Return the accuracy of ridge regression of the classes on one half of the rows, on the other half, both ways.

    Shapes: features [N, D], labels [N] -> a share; None for one class, or where no half has two rows of each.

    Example:
        >>> probe_accuracy(torch.eye(2).repeat(8, 1), torch.arange(2).repeat(8))
        1.0
    """
    halves = fit_halves(features, labels, seed=seed)
    return None if halves is None else float(halves.unseen_hits(features, labels).mean())


def _same_rows(sets: Mapping[str, EmbeddingSet], *, max_rows: int, seed: int) -> dict[str, EmbeddingSet]:
    """Return the sets with the rows that are used, after a check that they are the same ones."""
    first_name, first = next(iter(sets.items()))
    found = {name: on_same_rows(first, other, names=(first_name, name)) for name, other in sets.items()}
    labelled = first.labelled_rows()
    if labelled is not None:
        found = {name: each.select(labelled) for name, each in found.items()}
    first = found[first_name]
    truth = np.zeros(len(first), dtype=np.int64) if first.labels is None else _labels(first).cpu().numpy()
    rows = same_share(truth, most=max_rows, seed=seed)
    return found if rows is None else {name: each.select(rows) for name, each in found.items()}


def _scored(
    sets: Mapping[str, EmbeddingSet], score: Score, *, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the score of every encoder and the probability that it is the largest; None where one is undefined."""
    first = next(iter(sets.values()))
    truth = np.zeros(len(first), dtype=np.int64) if first.labels is None else _labels(first).cpu().numpy()
    with sharing():
        values = [score(each) for each in sets.values()]
    halves = []
    for number in range(HALVES if len(sets) > 1 else 0):
        rows = np.flatnonzero(dealt_halves(truth, seed=1_000_003 * (seed + 1) + number) == number % 2)
        halves.append([score(each.select(rows)) for each in sets.values()])
    if any(value is None for found in (values, *halves) for value in found):
        return None
    known = np.asarray(values, dtype=np.float64)
    return known, chances_of_best(known, np.asarray(halves, dtype=np.float64), seed=seed)


def chances_of_best(
    values: NDArray[np.float64], halves: NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Return the probability of each of E encoders to be the best, from scores [E] and scores of H halves [H, E].

    The spread of the halves around their mean is that of the scores on all rows (delete-d jackknife, d = N / 2).

    Example:
        >>> chances_of_best(np.array([0.1, 0.9]), np.array([[0.1, 0.8], [0.0, 0.9], [0.2, 1.0]])).round(2).tolist()
        [0.01, 0.99]
    """
    if len(values) == 1:
        return np.ones(1)
    generator = np.random.default_rng(seed)
    freedom = len(halves) - 1
    away = (halves - halves.mean(axis=0)) / freedom**0.5
    # A sum of the halves' deviations with normal weights has their covariance, whatever its rank.
    noise = generator.standard_normal((draws, len(halves))) @ away
    scale = np.sqrt(freedom / generator.chisquare(freedom, size=(draws, 1)))
    drawn = values + noise * scale
    best = drawn == drawn.max(axis=1, keepdims=True)
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))


def _labels(rows: EmbeddingSet) -> Tensor:
    assert rows.labels is not None
    labels: Tensor = rows.labels
    return labels


def _summary(frame: pd.DataFrame) -> str:
    """Say which encoder is best by which score, how surely, and whether its size alone would have chosen it."""
    winners = {str(by): rows.sort_values("rank", kind="stable").iloc[0] for by, rows in frame.groupby("by", sort=False)}
    names = list(dict.fromkeys(str(row["checkpoint"]) for row in winners.values()))
    if frame["checkpoint"].nunique() == 1:
        return f"{names[0]} is the only encoder."
    said = []
    for name in names:
        by = [
            f"{by} (probability {100 * row['p_best']:.0f} %)"
            for by, row in winners.items()
            if row["checkpoint"] == name
        ]
        said.append(f"{name} is best by {' and '.join([', '.join(by[:-1]), by[-1]] if len(by) > 1 else by)}")
    sentence = "; ".join(said) + "."
    surest = max(float(row["p_best"]) for row in winners.values())
    if len(names) > 1 or surest < CLEAR:
        sentence += " No encoder is clearly the best on these rows."
    return sentence + _size_baseline(frame, names)


def _headline(frame: pd.DataFrame) -> str:
    """Name the winner where one wins by every score, most of them surely; else those that lead, and the cheapest."""
    firsts = frame[frame["rank"] == 1].drop_duplicates(["by", "checkpoint"])
    leaders = list(dict.fromkeys(firsts["checkpoint"]))
    sure = firsts["p_best"].median()
    if len(leaders) == 1 and sure >= CLEAR:
        return f"Take {leaders[0]}: best by {_scores_said(firsts)}. It costs {_cost(frame, leaders[0])}."
    others = frame[frame["p_best"] > 1.0 - CLEAR]["checkpoint"]
    open_ones = list(dict.fromkeys([*leaders, *others]))
    sized = frame.drop_duplicates("checkpoint").set_index("checkpoint")
    cheapest = min(open_ones, key=lambda name: _none_last(sized.loc[name, "gflops"], sized.loc[name, "parameters"]))
    return (
        f"No encoder is clearly the best of {', '.join(open_ones)}: {_scores_said(firsts, named=True)}. "
        f"Of these {cheapest} costs least: {_cost(frame, cheapest)}."
    )


def _scores_said(firsts: pd.DataFrame, *, named: bool = False) -> str:
    words = {"logme": "LogME", "r_precision": "R-precision", "probe": "a small probe"}
    rows = firsts.to_dict(orient="records")
    chances = ["probability " * (not place) + f"{100 * row['p_best']:.0f} %" for place, row in enumerate(rows)]
    said = [
        f"{row['checkpoint'] + ' by ' if named else ''}{words.get(row['by'], row['by'])} ({chance})"
        for row, chance in zip(rows, chances, strict=True)
    ]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _cost(frame: pd.DataFrame, name: str) -> str:
    import pandas as pd

    row = frame[frame["checkpoint"] == name].iloc[0]
    said = [] if pd.isna(row["parameters"]) else [f"{row['parameters'] / 1e6:.3g} M parameters"]
    said.append(f"{int(row['width'])} dimensions")
    said += [] if pd.isna(row["gflops"]) else [f"{row['gflops']:.3g} GFLOPs"]
    said += [] if pd.isna(row["ms_per_image"]) else [f"{row['ms_per_image']:.2g} ms an image here"]
    return ", ".join(said)


def _none_last(*values: Any) -> tuple[float, ...]:
    import pandas as pd

    return tuple(float("inf") if pd.isna(value) else float(value) for value in values)


def _size_baseline(frame: pd.DataFrame, names: list[str]) -> str:
    sizes = frame.drop_duplicates("checkpoint").set_index("checkpoint")["parameters"]
    if sizes.isna().any():
        return ""
    largest = [str(name) for name in sizes.index[sizes == sizes.max()]]
    if len(largest) > 1:
        return " Model size alone would not choose: the largest ones are of one size."
    if names == largest:
        return f" Model size alone would have chosen the same: {largest[0]} is the largest."
    return f" Model size alone would have chosen {largest[0]}."
