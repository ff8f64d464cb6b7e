"""`linear_probe_accuracy`: how much of the classes can a linear classifier read off the frozen features?"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels
from repdiag.metrics.algebra.classes_not_in_bank import NO_CLASS_IN_COMMON, share_no_class
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.pairwise.sharing import memoised, tensor_key
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

ScaledRows = Literal["standardised", "unit", "raw"]
Matrix = NDArray[np.float64]
Numbers = NDArray[np.int64]
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_HELD_OUT = 5  # every fifth row of each class chooses the penalty


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"scale", "translation"},
    version=2,
    reference="alain2016",
    interval="per_query",
    second="bank",
    default=False,
)
def linear_probe_accuracy(
    features: Features,
    labels: Labels,
    *,
    other_features: Float[Tensor, "M D"],
    other_labels: Integer[Tensor, "M"],
    rows: ScaledRows = "standardised",
    penalty: float | None = None,
    seed: Seed = 0,
    max_iterations: Count = 1000,
) -> MetricValue:
    """Linear probe accuracy: share of rows that a logistic regression, fitted to the bank, classifies rightly.

    Formula:      mean_i [ argmax_c (w_c . x_i + b_c) = y_i ],  (w, b) = argmin over the bank of
                  mean_j -log softmax(w x_j + b)_{y_j} + penalty / 2 ||w||^2
    Shapes:       features [N, D], labels [N], other_features [M, D], other_labels [M] -> scalar.
    Range:        0 to 1; chance is the share of the largest class.  Better: higher.
    Invariant:    scale, translation (rows="standardised" only).   Not invariant: rotation, since dimensions are
                  standardised one by one; row order, since the rows that choose the penalty are drawn by number.
    Conventions:  multinomial, all classes at once; intercepts are not penalised. Solved to its optimum by L-BFGS in
                  float64: no learning rate, no epochs, no augmentation. rows="standardised" subtracts the bank's mean
                  from each dimension and divides by the bank's standard deviation (constant dimensions are left out);
                  or "unit", or "raw". penalty=None chooses among 1e-6, 1e-5, ... 1 by the accuracy on a fifth of each
                  class of the bank, drawn from `seed`; of equals it takes the larger. Then it fits the whole bank
                  again. extra holds the choice and its curve. A class with a single bank row is used for fitting only.
                  Rows whose class the bank lacks count as misses and are counted in extra. per_row holds the hits.
    Read it as:   the field's linear accuracy without its training recipe. Published figures come from SGD on augmented
                  views and differ by a point or two in either direction.
    Limits:       with fewer bank rows than dimensions it says as much about the penalty as about the features.
    Cost:         O(M D C) for each of about a hundred steps, eight fits; O(M D) memory. For that reason not among the
                  defaults.
    Reference:    Alain & Bengio 2016. Closed form: tests/closed_form/test_probes.py.
    Example:      >>> import torch
                  >>> rows, labels = torch.eye(3).repeat(5, 1), torch.arange(3).repeat(5)
                  >>> float(linear_probe_accuracy(rows, labels, other_features=rows, other_labels=labels))
                  1.0
    """
    if penalty is not None and penalty <= 0:
        raise MetricError("penalty must be positive: without it separable classes have no optimum", found=str(penalty))
    classes = torch.unique(other_labels)
    if len(classes) < 2:
        return undefined("the bank holds one class only", n=len(features))
    if share_no_class(labels, other_labels):
        return undefined(NO_CLASS_IN_COMMON, n=len(features))
    bank, queries = _prepared(other_features, features, rows)
    if bank.shape[1] == 0:
        return undefined("no dimension of the bank varies", n=len(features))
    truth = torch.searchsorted(classes, other_labels).cpu().numpy()
    key = ("linear_probe", tensor_key(other_features), tensor_key(other_labels), rows, penalty, seed, max_iterations)
    probe = memoised(
        key,
        lambda: _Probe(bank, truth, penalty=penalty, seed=seed, max_iterations=max_iterations),
        keep=(other_features, other_labels),
    )
    predicted = classes.cpu()[torch.from_numpy(probe.predict(queries))]
    hits = (predicted == labels.cpu()).double()
    unknown = int((~torch.isin(labels, classes)).sum())
    extra = {**probe.extra, "rows_of_unknown_classes": unknown}
    return MetricValue(value=float(hits.mean()), n=len(features), per_row=hits.to(features.device), extra=extra)


def _prepared(bank: Tensor, queries: Tensor, rows: ScaledRows) -> tuple[Matrix, Matrix]:
    if rows == "unit":
        return float64_unit_rows(bank).cpu().numpy(), float64_unit_rows(queries).cpu().numpy()
    if rows == "raw":
        return bank.double().cpu().numpy(), queries.double().cpu().numpy()
    if rows != "standardised":
        raise MetricError("rows must be standardised, unit or raw", found=repr(rows))
    exact = bank.double()
    mean, spread = exact.mean(dim=0), exact.std(dim=0, correction=0)
    varies = spread > 1e-12 * mean.abs().clamp_min(float(spread.max()))
    both = ((value.double() - mean)[:, varies] / spread[varies] for value in (bank, queries))
    first, second = (value.cpu().numpy() for value in both)
    return first, second


class _Probe:
    """A fitted classifier, with what is worth knowing of the fit."""

    def __init__(self, bank: Matrix, truth: Numbers, *, penalty: float | None, seed: int, max_iterations: int) -> None:
        self._converged = True
        self._max_iterations = max_iterations
        curve: dict[str, float] = {}
        if penalty is None:
            held_out = _held_out(truth, seed=seed)
            if held_out.any():
                kept, asked = ~held_out, truth[held_out]
                for value in PENALTIES:
                    fit = self._fit(bank[kept], truth[kept], value)
                    curve[str(value)] = float((fit.predict(bank[held_out]) == asked).mean())
            best = max(curve.values(), default=0.0)
            penalty = max((value for value in PENALTIES if curve.get(str(value)) == best), default=1e-3)
        self._model = self._fit(bank, truth, penalty)
        self.extra = {"penalty": penalty, "held_out_accuracy": curve, "converged": self._converged}

    def predict(self, rows: Matrix) -> Numbers:
        """Return the class number of every row [N]."""
        return np.asarray(self._model.predict(rows), dtype=np.int64)

    def _fit(self, rows: Matrix, truth: Numbers, penalty: float) -> LogisticRegression:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        # scikit-learn minimises C x (sum of the losses) + ||w||^2 / 2.
        model = LogisticRegression(C=1.0 / (penalty * len(rows)), tol=1e-6, max_iter=self._max_iterations)
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always", ConvergenceWarning)
            warnings.filterwarnings(
                "ignore", "The number of unique classes", UserWarning
            )  # they are classes all the same
            model.fit(rows, truth)
        self._converged &= not any(issubclass(one.category, ConvergenceWarning) for one in met)
        return model


def _held_out(truth: Numbers, *, seed: int) -> NDArray[np.bool_]:
    """Draw every fifth row of each class, at least one of each that has two."""
    order = np.random.default_rng(seed).permutation(len(truth))
    chosen = np.zeros(len(truth), dtype=np.bool_)
    for label in np.unique(truth):
        mine = order[truth[order] == label]
        if len(mine) > 1:
            chosen[mine[: max(1, len(mine) // _HELD_OUT)]] = True
    return chosen
