"""One function for each kind of row to look at: numbers in, the rows' places out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.errors import ConfigError
from repdiag.diagnosis.row_checks.neighbourhoods import NEAREST, TENTH, Neighbourhoods
from repdiag.diagnosis.row_checks.records import ANTIHUB, HUB, LABEL, LEAK, NEAR_COPY, OUTLIER, RowLimits, RowToCheck

_SAME = 1e-3  # of the usual distance to a tenth neighbour: so near are rows of one image, however many there are
_MAD = 1.4826  # a median absolute deviation times this is the standard deviation of normal rows
Named = Callable[[int], Any]


def near_copies(
    found: Neighbourhoods, limits: RowLimits, *, scale: float, split: str, names: tuple[Sequence[Any], Sequence[Any]]
) -> Iterator[RowToCheck]:
    """Yield the rows whose nearest row is hardly another one; across two sets where `names` are of two.

    A copy is nearer than a sixth of the distance to the tenth neighbour and than a tenth of the usual one, or so near
    that a whole clump of copies must be of one image.
    """
    nearest, tenth = found.distance[:, NEAREST], found.distance[:, TENTH]
    clump = nearest <= _SAME * scale
    copies = clump | ((nearest <= limits.copy_ratio * tenth) & (nearest <= limits.copy_distance * scale))
    across = names[0] is not names[1]
    for row in copies.nonzero().flatten().tolist():
        ratio = float(nearest[row]) / scale
        yield RowToCheck(
            row_id=names[0][row],
            split=split,
            what=LEAK if across else NEAR_COPY,
            why=f"{'a train row' if across else 'another row'} lies at {ratio:.1%} of the usual distance between "
            "neighbours",
            neighbour=names[1][int(found.index[row, NEAREST])],
            value=ratio,
        )


def outliers(found: Neighbourhoods, limits: RowLimits, *, split: str, names: Sequence[Any]) -> Iterator[RowToCheck]:
    """Yield the rows that lie far from their ten nearest: log mean distance, in robust standard deviations."""
    away = found.distance[:, : TENTH + 1].mean(dim=1)
    logs = away.clamp_min(1e-300).log()
    middle = logs.median()
    spread = _MAD * (logs - middle).abs().median()
    if float(spread) <= 0.0:
        return
    score = (logs - middle) / spread
    for row in (score > limits.outlier).nonzero().flatten().tolist():
        yield RowToCheck(
            row_id=names[row],
            split=split,
            what=OUTLIER,
            why=f"its ten nearest rows are {math.exp(float(logs[row] - middle)):.1f} times as far as usual",
            neighbour=names[int(found.index[row, NEAREST])],
            value=float(score[row]),
        )


def label_issues(
    found: Neighbourhoods, labels: Tensor, limits: RowLimits, *, split: str, names: Sequence[Any], named: Named
) -> Iterator[RowToCheck]:
    """Yield the rows whose neighbourhood has one other label: at least 80 % of 20 rows, and at most 10 % the row's own.

    Rows of classes with fewer than ten others are not asked: their neighbours cannot be of their class.
    """
    around = labels[found.index]
    other = torch.mode(around, dim=1).values
    votes = (around == other[:, None]).double().mean(dim=1)
    own = (around == labels[:, None]).double().mean(dim=1)
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    asked = counts[index] > TENTH
    flagged = asked & (other != labels) & (votes >= limits.label_votes) & (own <= limits.label_own)
    for row in flagged.nonzero().flatten().tolist():
        first = int((around[row] == other[row]).nonzero()[0])
        yield _label_issue(
            names, row, neighbour=int(found.index[row, first]), split=split, value=float(votes[row] - own[row])
        )(f"labelled {named(int(labels[row]))}, but {votes[row]:.0%} of its nearest are {named(int(other[row]))}")


def label_issues_by_cleanlab(
    found: Neighbourhoods, labels: Tensor, *, split: str, names: Sequence[Any], named: Named
) -> Iterator[RowToCheck]:
    """Yield what cleanlab's confident learning finds, given the shares of the labels among the nearest rows.

    Needs the extra `cleanlab`; finds more rows than the vote, of which fewer are wrong.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise ConfigError(
            "label issues by cleanlab need the package cleanlab",
            found="it is not installed",
            hint="pip install 'repdiag[cleanlab]', or label_rule=\"votes\"",
        ) from error
    present, truth = torch.unique(labels, return_inverse=True)
    around = truth[found.index]
    shares = torch.nn.functional.one_hot(around, len(present)).double().mean(dim=1)
    # A share of 0 would be certainty: each class gets half a vote more.
    smooth = (shares * around.shape[1] + 0.5) / (around.shape[1] + 0.5 * len(present))
    ranked = find_label_issues(truth.numpy(), smooth.numpy(), return_indices_ranked_by="self_confidence", n_jobs=1)
    for row in np.asarray(ranked).tolist():
        other = int(shares[row].argmax())
        first = (around[row] == other).nonzero()
        yield _label_issue(
            names,
            row,
            neighbour=int(found.index[row, int(first[0])]),
            split=split,
            value=float(1.0 - smooth[row, truth[row]]),
        )(f"labelled {named(int(labels[row]))}; cleanlab would say {named(int(present[other]))}")


def _label_issue(
    names: Sequence[Any], row: int, *, neighbour: int, split: str, value: float
) -> Callable[[str], RowToCheck]:
    return lambda why: RowToCheck(
        row_id=names[row], split=split, what=LABEL, why=why, neighbour=names[neighbour], value=value
    )


def occurrences(found: Neighbourhoods) -> Tensor:
    """Return how often every row is among the ten nearest of another one [N]."""
    return torch.bincount(found.index[:, : TENTH + 1].flatten(), minlength=len(found.index)).double()


def hubs(often: Tensor, limits: RowLimits, *, split: str, names: Sequence[Any], antihubs: bool) -> Iterator[RowToCheck]:
    """Yield the rows that come up for everybody and, if asked for, those that come up for nobody."""
    expected = float(TENTH + 1)
    for row in (often >= limits.hub * expected).nonzero().flatten().tolist():
        why = f"among the ten nearest of {int(often[row])} rows, {often[row] / expected:.1f} times the mean"
        yield RowToCheck(row_id=names[row], split=split, what=HUB, why=why, value=float(often[row]))
    if antihubs:
        for row in (often == 0).nonzero().flatten().tolist():
            why = "not among the ten nearest of any row: a search never finds it"
            yield RowToCheck(row_id=names[row], split=split, what=ANTIHUB, why=why, value=0.0)
