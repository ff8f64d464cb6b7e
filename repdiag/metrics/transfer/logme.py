"""`logme`: how probable are the labels under the best Bayesian linear model of the features?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments, second_moment
from repdiag.metrics.registry import metric

# The noise of a 0 / 1 target is taken to have at least this variance: labels that the features give exactly would
# otherwise have no largest evidence.
LEAST_NOISE = 1e-5
_CEILING = 0.5 * math.log(1.0 / LEAST_NOISE) - 0.5 * math.log(2.0 * math.pi)
_FLOOR = -0.5 * math.log(2.0 * math.pi) - 0.5  # a target of variance 1 that the features say nothing of
_NEGLIGIBLE = 1e-12  # of the largest squared singular value: below it a direction is rounding
_GRID, _GOLDEN, _STEPS = 97, (math.sqrt(5.0) - 1.0) / 2.0, 40


@metric(
    direction="higher",
    bounds=(_FLOOR, _CEILING),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="you2021",
    interval="subsample",
)
def logme(features: Features, labels: Labels) -> MetricValue:
    """LogME: largest log evidence of a Bayesian linear model of the labels given the features, per row.

    Formula:      mean_c max_{a, b} log p(y_c | F, a, b) / N,  y_c in {0, 1}^N marks the rows of class c,
                  y_c | F ~ N(0, I / b + F F^T / a):  weights have precision a, noise has precision b <= 1e5
    Shapes:       features [N, D], labels [N] -> scalar (nats a row); per_class [C].
    Range:        -1.42 (nothing learnt) to 4.84 (labels given exactly).  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation, since the model has no intercept.
    Conventions:  raw rows, neither centred nor scaled. One model for each class against the rest; classes weigh alike.
                  For a given a / b the best b is known in closed form. The one remaining number is searched over its
                  whole range, so the maximum is found where alternating updates stop early or creep. With fewer rows
                  than dimensions, directions without rows add nothing (the authors' code adds (D - N) / (2 N) log a for
                  them). Directions below 1e-6 of the largest singular value count as zero.
    Read it as:   the order of encoders by what a linear probe would find; the default score for ranking. The number
                  itself depends on the number and sizes of the classes: compare it on the same rows and labels only.
    Limits:       linear; grows with the number of rows. Twice the rows move it about as much as similar encoders
                  differ: use its interval, or the paired one of a comparison.
    Cost:         O(N D^2 + D^3 + C D) time, O(D^2) memory; with fewer rows than dimensions N and D change places. The
                  interval evaluates it on twenty halves: 1 s for 2,000 x 512, some 10 s for 10,000 x 1,024 on one core.
    Reference:    You, Liu, Wang & Long 2021, eq. 2. Code compared: thuml/LogME, LogME.py.
                  Golden: tests/golden/test_golden_transfer.py.
    Example:
        >>> import torch
        >>> rows, labels = torch.eye(2).repeat(50, 1), torch.arange(2).repeat(50)
        >>> told, guessed = logme(rows, labels), logme(torch.ones(100, 2), labels)
        >>> f"{float(told):.2f} {float(guessed):.2f}"
        '4.68 -0.75'
    """
    if len(torch.unique(labels)) < 2:
        return undefined("needs rows of two classes", n=len(features))
    spectrum = _spectrum(features, labels)
    evidence = _largest_evidence(spectrum)
    return MetricValue(value=float(evidence.mean()), n=len(features), per_class=evidence)


@dataclass(frozen=True, kw_only=True)
class _Spectrum:
    """Squared singular values [K], what of each class's target lies along them [C, K], and the rest of it [C]."""

    rows: int
    squares: Tensor
    along: Tensor
    rest: Tensor


def _spectrum(features: Tensor, labels: Tensor) -> _Spectrum:
    present, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sizes = counts.double()
    if len(features) >= features.shape[1]:
        squares, directions = torch.linalg.eigh(second_moment(features, centred=False))
        moments = class_moments(features, labels, normalize=False)
        sums = moments.sums if moments.origin is None else moments.sums + moments.counts[:, None] * moments.origin
        kept = squares > _NEGLIGIBLE * squares[-1]
        squares = squares[kept]
        along = (sums @ directions[:, kept]).square() / squares
    else:
        rows = features.double()
        squares, directions = torch.linalg.eigh(rows @ rows.T)
        kept = squares > _NEGLIGIBLE * squares[-1]
        squares = squares[kept]
        target = torch.zeros(len(present), len(rows), dtype=torch.float64, device=rows.device)
        target[index, torch.arange(len(rows), device=rows.device)] = 1.0
        along = (target @ directions[:, kept]).square()
    return _Spectrum(rows=len(features), squares=squares, along=along, rest=(sizes - along.sum(dim=1)).clamp_min(0.0))


def _largest_evidence(spectrum: _Spectrum) -> Tensor:
    """Return the largest evidence of every class [C]: a grid over the ratio a / b, then a golden section around it."""
    squares = spectrum.squares
    if len(squares) == 0:
        return _evidence(spectrum, spectrum.rest.new_zeros(len(spectrum.rest), 1))[:, 0]
    low, high = float(squares[0].log()) - 35.0, float(squares[-1].log()) + 35.0
    grid = torch.linspace(low, high, _GRID, dtype=torch.float64, device=squares.device)
    found = torch.cat(
        [_evidence(spectrum, part.expand(len(spectrum.rest), -1)) for part in torch.split(grid, 8)], dim=1
    )
    place = grid[found.argmax(dim=1)]
    step = float(grid[1] - grid[0])
    best = _golden_section(lambda at: _evidence(spectrum, at), place - step, place + step)
    return torch.maximum(best, found.amax(dim=1))


def _evidence(spectrum: _Spectrum, log_ratio: Tensor) -> Tensor:
    """Return the evidence per row at each a / b = exp(log_ratio) [C, M] and the best allowed b."""
    rows = float(spectrum.rows)
    ratio = log_ratio.exp()[:, :, None]
    left = ratio / (ratio + spectrum.squares)  # the share of the target along a direction that is not explained
    misfit = (spectrum.along[:, None] * left).sum(dim=2) + spectrum.rest[:, None]
    precision = (rows / misfit.clamp_min(rows * LEAST_NOISE)).clamp_max(1.0 / LEAST_NOISE)
    volume = torch.log1p(spectrum.squares / ratio).sum(dim=2)
    fitted = rows * precision.log() - precision * misfit - volume - rows * math.log(2.0 * math.pi)
    return fitted / (2.0 * rows)


def _golden_section(value: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Return the largest value between the ends [C], for functions with one maximum there."""
    for _ in range(_STEPS):
        inner = torch.stack([high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)], dim=1)
        found = value(inner)
        left = found[:, 0] >= found[:, 1]
        low, high = torch.where(left, low, inner[:, 0]), torch.where(left, inner[:, 1], high)
    return value(((low + high) / 2.0)[:, None])[:, 0]
