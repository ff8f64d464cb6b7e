"""`minibatch_cka`: CKA from unbiased HSIC averaged over batches."""

from __future__ import annotations

import torch

from repdiag.core.errors import ConfigError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed
from repdiag.metrics.similarity.hsic import linear_hsic
from repdiag.metrics.similarity.same_rows import CONSTANT, check_same_rows, is_constant


@metric(
    direction="higher",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "translation"},
    version=1,
    reference="nguyen2021",
    interval="subsample",
    second="other",
    default=False,
)
def minibatch_cka(
    features: Features, *, other_features: Float[Tensor, "M E"], batch_size: Count = 256, seed: Seed = 0
) -> MetricValue:
    """Minibatch CKA: the three HSIC terms averaged over batches before the ratio is taken.

    Formula:      mean_b HSIC_u(X_b, Y_b) / sqrt(mean_b HSIC_u(X_b, X_b) mean_b HSIC_u(Y_b, Y_b)),  HSIC_u unbiased
    Shapes:       features [N, D], other_features [N, E] -> scalar.
    Range:        as linear_cka.  Better: higher.
    Invariant:    rotation, scale, translation.   Not invariant: row order, which with the seed makes the batches.
    Conventions:  raw rows. Batches are drawn without replacement by a seeded permutation. An incomplete last batch is
                  left out; extra holds the rows used. HSIC_u is unbiased at any batch size, so the value estimates the
                  debiased linear_cka.
    Read it as:   linear_cka for sets that do not fit in memory together, or for comparison with papers that use it.
    Limits:       noisier than linear_cka on the same rows, which repdiag computes exactly in one pass.
    Cost:         O(N (D^2 + E^2 + D E)) time, O((D + E)^2) memory.
    Reference:    Nguyen, Raghu & Kornblith 2021, eq. 3.
    Example:
        >>> import torch
        >>> rows = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        >>> round(float(minibatch_cka(rows, other_features=-rows, batch_size=16)), 6)
        1.0
    """
    check_same_rows(features, other_features)
    if batch_size < 4:
        raise ConfigError("the unbiased HSIC needs batches of four rows", found=f"batch_size={batch_size}")
    size = min(batch_size, len(features))
    if size < 4:
        return undefined("needs four rows", n=len(features))
    if is_constant(features, other_features):
        return undefined(CONSTANT, n=len(features))
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed)).to(features.device)
    both = own = other = 0.0
    batches = len(features) // size
    for rows in order[: batches * size].view(batches, size):
        hsic = linear_hsic(features[rows], other_features[rows], debiased=True)
        both, own, other = both + hsic.both, own + hsic.own, other + hsic.other
    if own <= 0.0 or other <= 0.0:
        return undefined("an encoder gives only noise", n=len(features))
    value = both / (own**0.5 * other**0.5)
    return MetricValue(
        value=min(1.0, max(-1.0, value)),
        n=len(features),
        extra={"batches": batches, "rows_used": batches * size},
    )
