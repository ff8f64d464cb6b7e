"""`multilabel_probe`: can a linear classifier for each label read it off the frozen features?"""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, LabelMatrix
from repdiag.metrics.algebra.label_scores import NO_LABEL, expect_same_labels, mean_average_precision_of
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Positive


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"scale", "translation", "row_order"},
    version=1,
    reference="alain2016",
    second="bank",
    default=False,
)
def multilabel_probe(
    features: Features,
    label_matrix: LabelMatrix,
    *,
    other_features: Float[Tensor, "M D"],
    other_label_matrix: Float[Tensor, "M _"],
    penalty: Positive = 1e-2,
    max_iterations: Count = 1000,
) -> MetricValue:
    """Multi-label probe: mean average precision over labels of a logistic regression for each, fitted to the bank.

    Formula:      s_ic = w_c . x_i + b_c,  (w_c, b_c) = argmin over the bank of
                  mean_j log(1 + exp(-(2 l_jc - 1)(w . x_j + b))) + penalty / 2 ||w||^2,
                  mean over labels c of the average precision of s_.c for l_.c
    Shapes:       features [N, D], label_matrix [N, C], other_features [M, D], other_label_matrix [M, C] -> scalar.
    Range:        0 to 1; chance is about the mean share of rows that have a label.  Better: higher.
    Invariant:    scale, translation, row order.   Not invariant: rotation, since dimensions are standardised.
    Conventions:  subtracts the bank's mean from each dimension and divides by the bank's standard deviation (constant
                  dimensions are left out); intercepts are not penalised; solved to its optimum by L-BFGS in float64.
                  Average precision as in scikit-learn. A label on none or all of the bank's rows has no classifier.
                  Such labels, and those on none or all of the rows, are left out and counted in extra. per_class holds
                  the value of each label.
    Read it as:   the mAP that papers report for linear classification of scenes with several objects.
    Limits:       rare labels weigh as much as common ones. All labels share one penalty.
    Cost:         O(M D) for each of about a hundred steps, one fit for each label; O(M D) memory. For that reason not
                  among the defaults.
    Reference:    Alain & Bengio 2016, for the probe. Closed form: tests/closed_form/test_multilabel.py.
    Example:      >>> import torch
                  >>> rows, labels = torch.eye(3).repeat(4, 1), torch.tensor([[1, 0], [1, 1], [0, 1]]).repeat(4, 1)
                  >>> float(multilabel_probe(rows, labels, other_features=rows, other_label_matrix=labels))
                  1.0
    """
    expect_same_labels(label_matrix, other_label_matrix)
    bank = other_features.double()
    mean, spread = bank.mean(dim=0), bank.std(dim=0, correction=0)
    varies = spread > 1e-12 * mean.abs().clamp_min(float(spread.max()))
    if not bool(varies.any()) or float(spread.max()) == 0.0:
        return undefined("no dimension of the bank varies", n=len(features))
    first, second = (((rows.double() - mean)[:, varies] / spread[varies]) for rows in (bank, features))
    truth, wanted = other_label_matrix != 0, label_matrix != 0
    fitted = [label for label in range(truth.shape[1]) if 0 < int(truth[:, label].sum()) < len(truth)]
    if not fitted:
        return undefined(NO_LABEL, n=len(features))
    scores = torch.stack([_scores(first, truth[:, c], second, (penalty, max_iterations)) for c in fitted], dim=1)
    found = mean_average_precision_of(scores, wanted[:, fitted])
    if found.value is None or found.per_class is None:
        return found
    each = found.per_class.new_full((truth.shape[1],), float("nan"))
    each[fitted] = found.per_class
    extra = {"labels_left_out": int(each.isnan().sum())}
    return MetricValue(value=found.value, n=len(features), per_class=each, extra=extra)


def _scores(bank: Tensor, has: Tensor, rows: Tensor, settings: tuple[float, int]) -> Tensor:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    penalty, steps = settings
    model = LogisticRegression(C=1.0 / (penalty * len(bank)), tol=1e-8, max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(bank.cpu().numpy(), has.cpu().numpy())
        except ConvergenceWarning as warning:
            said = str(warning).partition("\n")[0]
            raise MetricError("the probe did not reach its optimum", found=said, hint="raise max_iterations") from None
    return torch.from_numpy(model.decision_function(rows.cpu().numpy()))
