"""`rankme`: smooth rank of the feature matrix."""

from __future__ import annotations

from typing import Literal

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import NotNegative
from repdiag.metrics.spectrum.entropy_rank import entropy_rank
from repdiag.metrics.spectrum.singular_values import singular_values


@metric(
    direction="higher",
    bounds=(1.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="garrido2023",
    interval="subsample",
    comparable="one method",
)
def rankme(
    features: Features,
    *,
    eps: NotNegative = 1e-7,
    spectrum: Literal["singular_values", "eigenvalues"] = "singular_values",
    centred: bool = False,
) -> MetricValue:
    """RankMe: exponential of the entropy of the normalised singular values.

    Formula:      exp(-sum_k p_k log p_k),  p_k = s_k / sum_j s_j + eps
    Shapes:       features [N, D] -> scalar.
    Range:        1 (rank one) to about min(N, D).  Better: higher, at equal D and N only.
    Invariant:    rotation, scale, row order.   Not invariant: translation (unless centred), normalising the rows.
    Conventions:  raw rows, uncentred; singular values (not their squares); eps is added after normalising, so that the
                  p sum to 1 + D eps. Other public versions: eps=1e-12 (google-research), eps=1e-5 (stable-pretraining),
                  spectrum="eigenvalues" with centred=True (reptrix: another quantity under the same name).
    Read it as:   how many directions carry the features. A value far below min(N, D) is dimensional collapse.
    Limits:       compare at equal version, N and D only. One large mean direction hides the rest of the spectrum.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    Garrido et al. 2023, eq. 1. Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(rankme(torch.eye(4))), 4)
        4.0
    """
    values = singular_values(features, centred=centred)
    if float(values.sum()) == 0.0:
        return undefined("all rows are equal to the origin of the spectrum: it is zero", n=len(features))
    chosen = values.square() if spectrum == "eigenvalues" else values
    return MetricValue(value=entropy_rank(chosen, eps=eps), n=len(features), extra={"dims": features.shape[1]})
