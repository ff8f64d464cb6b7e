"""Which diagnosis predicts which downstream value: rank correlation with its interval, and the regret of a choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repdiag.metrics.inference.rank_correlation import rank_correlation
from repdiag.metrics.registry import get
from repdiag.results.headlines import HEADLINES

SIZE = "parameters"
# What no side of is called better anywhere else in the package: read by the side that its authors name.
_SIGNS = {"rankme": 1.0, "uniformity": -1.0, "alignment": -1.0, "intra_class_distance": -1.0}
_NEAR = {headline.metric: headline.direction for headline in HEADLINES if headline.direction in ("zero", "one")}
_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How a predictor orders encoders by a target: Spearman's rho, and what choosing by it costs in the target."""

    predictor: str
    target: str
    rho: float
    low: float | None
    high: float | None
    regret: float
    regret_high: float
    encoders: int


def score(predictor: str, value: float | None) -> float | None:
    """Return a number that is higher for the encoder that the predictor calls better; None where it has none.

    Example:
        >>> score("granularity", 2.0) == score("granularity", 0.5)
        True
    """
    if value is None or not math.isfinite(value):
        return None
    near = _NEAR.get(predictor)
    if near == "zero":
        return -abs(value)
    if near == "one":
        return -abs(math.log(max(value, 1e-9)))
    if predictor in _SIGNS:
        return _SIGNS[predictor] * value
    if predictor in (SIZE, "width"):
        return value
    return -value if get(predictor).direction == "lower" else value


def predictions(records: Sequence[Mapping[str, Any]], *, own: bool = False, seed: int = 0) -> list[Prediction]:
    """Return one prediction for each predictor that most encoders have, and each target; `own`: by metrics there."""
    if own:
        names = dict.fromkeys(metric for record in records for one in record["own"].values() for metric in one)
    else:
        names = dict.fromkeys(metric for record in records for metric in record["metrics"])
    found = []
    for predictor in (SIZE, "width", *names):
        for target in dict.fromkeys(target for record in records for target in record["worth"]):
            where = target.partition(",")[0] if own else None
            pairs = [
                (score(predictor, _value(record, predictor, where)), record["worth"].get(target)) for record in records
            ]
            known = [(float(one), float(other)) for one, other in pairs if one is not None and other is not None]
            if len(known) >= 0.9 * len(records) and (made := _prediction(predictor, target, known, seed)) is not None:
                found.append(made)
    return found


def _value(record: Mapping[str, Any], predictor: str, where: str | None) -> float | None:
    if predictor in (SIZE, "width"):
        return float(record[predictor])
    found: Mapping[str, float | None] = record["metrics"] if where is None else record["own"][where]
    return found.get(predictor)


def _prediction(predictor: str, target: str, known: Sequence[tuple[float, float]], seed: int) -> Prediction | None:
    scores, worth = np.asarray(known).T
    correlation = rank_correlation(scores.tolist(), worth.tolist())
    if correlation is None:
        return None
    draws = np.random.default_rng(seed).integers(len(worth), size=(_DRAWS, len(worth)))
    regrets = [regret(scores[rows], worth[rows]) for rows in draws]
    return Prediction(
        predictor=predictor,
        target=target,
        rho=correlation[0],
        low=correlation[1],
        high=correlation[2],
        regret=regret(scores, worth),
        regret_high=float(np.quantile(regrets, 0.95)),
        encoders=len(worth),
    )


def regret(scores: Any, worth: Any) -> float:
    """Return the best target's value minus that of the encoder of the highest score; of ties the mean.

    Example:
        >>> regret(np.array([1.0, 3.0, 2.0]), np.array([0.9, 0.7, 0.8])).__round__(2)
        0.2
    """
    return float(worth.max() - worth[scores == scores.max()].mean())


def table(found: Sequence[Prediction]) -> pd.DataFrame:
    """Return a row for each predictor: mean rho over targets, the lowest, mean and largest regret, by mean rho."""
    frame = pd.DataFrame([vars(one) for one in found])
    rows = frame.groupby("predictor", sort=False).agg(
        mean_rho=("rho", "mean"),
        lowest_rho=("rho", "min"),
        mean_regret=("regret", "mean"),
        largest_regret=("regret", "max"),
    )
    return rows.sort_values("mean_rho", ascending=False, kind="stable").reset_index()
