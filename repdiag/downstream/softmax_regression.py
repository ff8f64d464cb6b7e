"""Multinomial logistic regression solved to its optimum, so that neither a learning rate nor a sweep's order matters.

The rows are turned to their principal axes, where the penalty stays what it is, and every axis is stretched by the
curvature that the loss has along it at most (Boehning 1992): L-BFGS then takes tens of steps instead of hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FLAT = 1e-12  # axes with less than this share of the largest variance hold nothing but rounding
_GRADIENT = 1e-9  # largest slope in stretched coordinates at which the optimum counts as reached


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A linear classifier: logits = rows @ weights + bias; weights [D, C]."""

    weights: Tensor
    bias: Tensor
    converged: bool
    steps: int

    def logits(self, rows: Tensor) -> Tensor:
        """Return the logits [N, C]."""
        return rows @ self.weights + self.bias


class SoftmaxRegression:
    """Fits  min  mean_i -log softmax(W^T x_i + b)_{y_i} + penalty / 2 ||W||^2  on the same rows for any penalty.

    Rows [N, D] in float64, truth [N] in 0 .. classes - 1. Intercepts are not penalised.
    """

    def __init__(self, rows: Tensor, truth: Tensor, *, classes: int, most_steps: int = 1000) -> None:
        self._classes, self._most_steps = classes, most_steps
        self._mean = rows.mean(dim=0)
        away = rows - self._mean
        if away.shape[0] < away.shape[1]:
            _, singular, turned = torch.linalg.svd(away, full_matrices=False)
            variance, axes = singular.square() / len(away), turned.T
        else:
            variance, axes = torch.linalg.eigh(away.T @ away / len(away))
        kept = variance > _FLAT * variance.max()
        self._variance, self._axes = variance[kept], axes[:, kept]
        self._rows = away @ self._axes
        self._target = torch.zeros(len(rows), classes, dtype=torch.float64, device=rows.device)
        self._target[torch.arange(len(rows), device=rows.device), truth] = 1.0

    def fit(self, penalty: float, *, near: Classifier | None = None) -> Classifier:
        """Return the classifier of least loss; `converged` is False where the steps ran out before.

        `near` is that of another penalty, to start from; the optimum is the same from anywhere.
        """
        from scipy.optimize import minimize

        stretch = 1.0 / (0.25 * self._variance + penalty).sqrt()
        rows = self._rows * stretch
        axes, classes = rows.shape[1], self._classes
        costs = (penalty * stretch.square())[:, None]

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            both = torch.from_numpy(flat).to(rows.device).view(axes + 1, classes)
            weights, bias = both[:-1], both[-1]
            logits = torch.addmm(bias, rows, weights)
            normal = torch.logsumexp(logits, dim=1, keepdim=True)
            value = (normal.sum() - (logits * self._target).sum()) / len(rows) + 0.5 * (costs * weights.square()).sum()
            residual = (torch.exp(logits - normal) - self._target) / len(rows)
            slope = torch.cat([rows.T @ residual + costs * weights, residual.sum(dim=0, keepdim=True)])
            return float(value), slope.flatten().cpu().numpy()

        start = np.zeros((axes + 1) * classes)
        if near is not None:
            turned = (self._axes.T @ near.weights) / stretch[:, None]
            start = torch.cat([turned, (near.bias + self._mean @ near.weights)[None]]).flatten().cpu().numpy()
        steps = self._most_steps
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps, "maxfun": 2 * steps, "gtol": _GRADIENT, "ftol": 0.0, "maxcor": 20},
        )
        both = torch.from_numpy(found.x).to(rows.device).view(axes + 1, classes)
        weights = self._axes @ (stretch[:, None] * both[:-1])
        # A line search that cannot go lower stands at the optimum as well as float64 can tell.
        at_optimum = float(np.abs(found.jac).max()) <= 100.0 * _GRADIENT
        return Classifier(
            weights=weights, bias=both[-1] - self._mean @ weights, converged=at_optimum, steps=int(found.nit)
        )
