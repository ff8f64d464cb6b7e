"""`ridge_probe_accuracy`: accuracy of a small linear probe on rows that it was not fitted to."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels, Tensor
from repdiag.metrics.algebra.classes_not_in_bank import NO_CLASS_IN_COMMON, share_no_class
from repdiag.metrics.pairwise.sharing import memoised, tensor_key
from repdiag.metrics.probes.ridge_halves import fit_halves
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Seed


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"scale", "translation"},
    version=1,
    reference="alain2016",
    interval="per_query",
    second="bank",
    default=False,
)
def ridge_probe_accuracy(
    features: Features,
    labels: Labels,
    *,
    other_features: Float[Tensor, "M D"] | None = None,
    other_labels: Integer[Tensor, "M"] | None = None,
    seed: Seed = 0,
) -> MetricValue:
    """Ridge probe accuracy: share of rows whose class is read off by ridge regression fitted to half of other rows.

    Formula:      mean_i [ argmax_c (w_c . z_i + b_c) = y_i ];  (w, b) = argmin ||Z w + b - T||^2 + penalty ||w||^2 over
                  the half of the rows (with a bank: of the bank) that i is not in, T = +1 for the class and -1 else
    Shapes:       features [N, D], labels [N], optional other_features [M, D], other_labels [M] -> scalar.
    Range:        0 to 1; chance is the share of the largest class.  Better: higher.
    Invariant:    scale, translation.   Not invariant: rotation, since dimensions are standardised one by one; row
                  order, since the halves are drawn by number.
    Conventions:  each class is halved at random; each half is fitted in turn and reads the other one, so that every row
                  is read once by a probe that did not see it. With a bank its halves are fitted, and each reads half
                  of the rows. Dimensions are standardised by the half that is fitted; constant ones are left out. The
                  penalty is one of 1e-2, 1e-1, ... 1e4, by leave-one-out error (scikit-learn's RidgeClassifierCV). No
                  value where a class has a single row to fit. per_row holds the hits.
    Read it as:   a linear probe in a second, for comparisons; linear_probe_accuracy is the one to report.
    Limits:       half of the rows are few: it reads lower than a probe that is fitted to all of them.
    Cost:         O(M D^2 + D^3), or O(M^2 D + M^3) where that is less, for each half.
    Reference:    Alain & Bengio 2016. Closed form: tests/closed_form/test_probes.py.
    Example:      >>> import torch
                  >>> rows, labels = torch.eye(3).repeat(4, 1), torch.arange(3).repeat(4)
                  >>> float(ridge_probe_accuracy(rows, labels))
                  1.0
    """
    fitted, classes, own = features, labels, True
    if other_features is not None and other_labels is not None:
        fitted, classes, own = other_features, other_labels, False
    if share_no_class(labels, classes):
        return undefined(NO_CLASS_IN_COMMON, n=len(features))
    counts = torch.unique(classes, return_counts=True)[1]
    if len(counts) < 2:
        return undefined("there is one class only to fit", n=len(features))
    if int(counts.min()) < 2:
        return undefined("a class has a single row to fit", n=len(features))
    # Both sides of probe_gap, and its interval, read off the same two fits.
    key = ("ridge_halves", tensor_key(fitted), tensor_key(classes), seed)
    halves = memoised(key, lambda: fit_halves(fitted, classes, seed=seed), keep=(fitted, classes))
    assert halves is not None
    hits = halves.unseen_hits(features, labels) if own else halves.hits(features, labels, seed=seed)
    per_row = torch.from_numpy(hits).double().to(features.device)
    return MetricValue(value=float(per_row.mean()), n=len(features), per_row=per_row)
