"""`lidar`: how many directions tell images apart from their own views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from repdiag.core.errors import ConfigError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Views
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import NotNegative
from repdiag.metrics.spectrum.entropy_rank import entropy_rank

_ROUNDING = 1e-24  # scatter of the means beside their squares that float64 rounding may leave
_IMAGES = 1024  # images taken into float64 at a time


@metric(
    direction="higher",
    bounds=(1.0, float("inf")),
    invariances={"rotation", "translation", "row_order"},
    version=1,
    reference="thilak2024",
    interval="subsample",
    comparable="one method",
)
def lidar(
    features: Features,
    views: Views,
    *,
    members: Literal["views", "original_and_views"] = "views",
    form: Literal["paper", "reptrix"] = "paper",
    delta: float = 1e-4,
    eps: NotNegative = 1e-8,
) -> MetricValue:
    """LiDAR: effective rank of the linear discriminants that separate images, each image a class of its views.

    Formula:      exp(-sum_k p_k log p_k),  p = (l + eps) / sum(l + eps),  l = eigenvalues of S_w^{-1/2} S_b
                  S_w^{-1/2}, S_b = sum_i (m_i - m)(m_i - m)^T / (n - 1),  S_w = sum_iv (x_iv - m_i)(x_iv - m_i)^T /
                  (n (q - 1)) + delta I
    Shapes:       features [N, D], views [V, N, D] -> scalar.
    Range:        1 to about min(N - 1, D).  Better: higher, at equal D, N and q only.
    Invariant:    rotation, translation, row order.   Not invariant: scale, because of delta.
    Conventions:  n = N images; q = the members of each: its views, or original and views. extra holds both.
                  form="reptrix" is another number under the same name: S_b is the sum over the images (not divided),
                  S_w the mean over the images of the sum over members, delta and eps are 1e-6 and 1e-7, p = l / sum(l)
                  + eps, and the entropy is that of the eigenvalues of the *covariance of the rows* of the whitened
                  matrix, which squares its spectrum.
    Read it as:   the rank of what is stable under augmentation: rankme counts every direction, lidar those that
                  identify images.
    Limits:       with q = 2, S_w is poorly estimated, and delta sets a scale. Compare at equal n, q, delta and form
                  only.
    Cost:         O(q N D^2 + D^3) time, O(D^2) memory.
    Reference:    Thilak et al. 2024, eq. 1-3. Code compared: rbalestr-lab/stable-pretraining, BARL-SSL/reptrix.
                  Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> noise = 0.1 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
        >>> round(float(lidar(rows, torch.stack([rows + noise, rows - noise]))), 3)
        2.0
    """
    if delta <= 0:
        raise ConfigError("delta must be positive: it keeps the scatter of the views invertible", found=str(delta))
    stack = views if members == "views" else torch.cat([features[None], views])
    size, rows = len(stack), len(features)
    extra = {"members": size, "dims": features.shape[1]}
    if size < 2:
        return undefined("needs two members per image: two views, or the original and a view", n=rows)
    if rows < 2:
        return undefined("needs two images", n=rows)
    mean = _mean(stack)
    between, within = _scatters(stack, mean)
    # Beside eps the spectrum of what rounding leaves would look like that of a space that uses all its directions.
    if float(between.trace()) <= _ROUNDING * rows * float(mean.square().sum()):
        return undefined("all images have the same mean", n=rows)
    if form == "reptrix":
        whitened = _whiten(between, within / rows, delta)
        spectrum = torch.linalg.svdvals(whitened - whitened.mean(dim=0)).square()
    else:
        spectrum = _discriminants(stack, mean, between, within=within / (rows * (size - 1)), delta=delta)
    value = entropy_rank(spectrum, eps=eps) if form == "reptrix" else entropy_rank(spectrum + eps)
    return MetricValue(value=value, n=rows, extra=extra)


def _scatters(stack: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scatter of the image means about their mean and of the members about their image's mean [D, D]."""
    dims = stack.shape[2]
    between, within = stack.new_zeros((2, dims, dims), dtype=torch.float64)
    for members in _parts(stack):
        centres = members.mean(dim=0)
        between.addmm_((centres - mean).T, centres - mean)
        away = (members - centres).reshape(-1, dims)
        within.addmm_(away.T, away)
    return between, within


def _mean(stack: Tensor) -> Tensor:
    return sum((member.double().mean(dim=0) for member in stack), start=torch.zeros(())) / len(stack)


def _parts(stack: Tensor) -> Iterator[Tensor]:
    """Yield the members of some images at a time, in float64."""
    for start in range(0, stack.shape[1], _IMAGES):
        yield stack[:, start : start + _IMAGES].double()


def _discriminants(stack: Tensor, mean: Tensor, between: Tensor, *, within: Tensor, delta: float) -> Tensor:
    """Return the eigenvalues [D] of S_w^{-1/2} S_b S_w^{-1/2}.

    L^{-1} S_b L^{-T} with S_w = L L^T has the same ones, and a triangular root costs a fifth of a symmetric one. Of
    fewer images than dimensions, with S_b = C^T C, so has C S_w^{-1} C^T [N, N], and zeros for the others.
    """
    _, rows, dims = stack.shape
    lower = torch.linalg.cholesky(within + delta * torch.eye(dims, dtype=within.dtype, device=within.device))
    if rows < dims:
        centres = torch.cat([members.mean(dim=0) for members in _parts(stack)]) - mean
        half = torch.linalg.solve_triangular(lower, centres.T, upper=False)
        product = half.T @ half
    else:
        half = torch.linalg.solve_triangular(lower, between, upper=False)
        product = torch.linalg.solve_triangular(lower, half.T, upper=False)
    spectrum = within.new_zeros(dims)
    spectrum[: len(product)] = torch.linalg.eigvalsh(product).clamp_min(0.0) / (rows - 1)
    return spectrum


def _whiten(between: Tensor, within: Tensor, delta: float) -> Tensor:
    """Return W^{-1/2} B W^{-1/2} for W = within + delta I."""
    values, vectors = torch.linalg.eigh(within)
    root: Tensor = (vectors * (values.clamp_min(0.0) + delta).rsqrt()) @ vectors.T
    return root @ between @ root
