"""Scores of transfer on the golden sets, each by another route than the package's.

LogME: the density of a multivariate normal, maximised over both precisions by a general optimiser, and the alternating
updates of You et al. 2021 run to their end. H-score: scikit-learn's Ledoit-Wolf estimate and the trace of two explicit
covariance matrices. GBC: the overlap of two densities, integrated numerically along each component.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from golden_sets import RELATIVE, SETS, golden_set
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from repdiag.metrics.transfer import gbc, h_score, logme
from repdiag.metrics.transfer.logme import LEAST_NOISE


def features_and_labels(name: str, kind: str = "raw"):
    data = golden_set(name)
    return data.rows("features", kind).numpy(), data.labels.numpy()


def best_density(features, target) -> float:
    """Return max over (a, b) of log N(target; 0, I / b + F F^T / a) / N, noise of at least 1e-5."""
    gram = features @ features.T
    scale = np.trace(gram) / len(gram)

    def loss(logs) -> float:
        noise = LEAST_NOISE + math.exp(logs[1])
        covariance = noise * np.eye(len(gram)) + math.exp(logs[0]) / scale * gram
        return -multivariate_normal(cov=covariance, allow_singular=False).logpdf(target) / len(target)

    starts = [(x, y) for x in (-8.0, -2.0) for y in (-8.0, -2.0)]
    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000}
    return -min(minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts)


def alternating_updates(features, target) -> float:
    """Return the evidence where a = gamma / m^2, b = (N - gamma) / misfit have come to rest."""
    rows, dims = features.shape
    u, s, _ = np.linalg.svd(features, full_matrices=False)
    squares, along = s**2, (u.T @ target) ** 2
    rest = target @ target - along.sum()
    a = b = 1.0
    for _ in range(100_000):
        ratio = a / b
        gamma = (squares / (squares + ratio)).sum()
        weights = (squares * along / (ratio + squares) ** 2).sum()
        misfit = (along * (ratio / (ratio + squares)) ** 2).sum() + rest
        a, b = gamma / weights, (rows - gamma) / misfit
        if abs(a / b - ratio) < 1e-12 * ratio:
            break
    logs = np.log(a + b * squares).sum() + (dims - len(squares)) * math.log(a)
    evidence = dims * math.log(a) + rows * math.log(b) - logs - b * misfit - a * weights - rows * math.log(2 * math.pi)
    return evidence / (2 * rows)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["raw", "l2"])
def test_logme_is_the_largest_density_of_the_labels(name: str, kind: str) -> None:
    features, labels = features_and_labels(name, kind)
    chosen = np.random.default_rng(0).permutation(len(features))[:90]  # a density of N dimensions for each trial
    features, labels = features[chosen], labels[chosen]
    found = logme(features, labels)
    assert found.per_class is not None
    for place, label in list(enumerate(np.unique(labels)))[:3]:
        expected = best_density(features, (labels == label).astype(float))
        assert float(found.per_class[place]) == pytest.approx(expected, rel=RELATIVE, abs=RELATIVE)


@pytest.mark.parametrize("name", SETS)
def test_logme_is_where_the_alternating_updates_rest(name: str) -> None:
    features, labels = features_and_labels(name)
    found = logme(features, labels)
    assert found.per_class is not None
    by_updates = [alternating_updates(features, (labels == label).astype(float)) for label in np.unique(labels)]
    assert found.per_class.tolist() == pytest.approx(by_updates, rel=RELATIVE, abs=RELATIVE)
    assert float(found) == pytest.approx(float(np.mean(by_updates)), rel=RELATIVE)


def between(features, labels):
    """Return the covariance of the class means that stand in for their rows, ddof 0."""
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    return np.cov(means.T, ddof=0)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["raw", "l2"])
def test_h_score(name: str, kind: str) -> None:
    features, labels = features_and_labels(name, kind)
    fitted = LedoitWolf().fit(features)
    spread = between(features, labels)
    expected = (1.0 - fitted.shrinkage_) * np.trace(np.linalg.inv(fitted.covariance_) @ spread)
    found = h_score(features, labels)
    assert float(found) == pytest.approx(expected, rel=RELATIVE)
    assert found.extra["shrinkage"] == pytest.approx(fitted.shrinkage_, rel=RELATIVE)
    plain = np.trace(np.linalg.pinv(np.cov(features.T, ddof=0), rcond=1e-12, hermitian=True) @ spread)
    assert float(h_score(features, labels, shrink=False)) == pytest.approx(plain, rel=RELATIVE)


def overlap(first, second) -> float:
    """Return the integral of sqrt(p q) of two Gaussians, each (mean, variance) by component."""
    product = 1.0
    for m, v, n, w in zip(*first, *second, strict=True):
        one, two = norm(m, math.sqrt(v)), norm(n, math.sqrt(w))
        reach = 12 * math.sqrt(max(v, w))
        ends = min(m, n) - reach, max(m, n) + reach
        points = sorted({m, n, (m * w + n * v) / (v + w)})
        product *= quad(lambda x: math.sqrt(one.pdf(x) * two.pdf(x)), *ends, points=points, limit=400)[0]  # noqa: B023
    return product


@pytest.mark.parametrize("name", SETS)
def test_gbc_is_the_overlap_of_the_densities(name: str) -> None:
    features, labels = features_and_labels(name)
    dims = 3  # each component is an integral for each pair of classes
    classes = [label for label in np.unique(labels) if (labels == label).sum() > 1][:5]
    kept = np.isin(labels, classes)
    components = PCA(dims, svd_solver="full").fit_transform(features[kept])
    least = 1e-4 * components.var(axis=0).mean()
    own = labels[kept]
    gaussians = [(components[own == c].mean(axis=0), components[own == c].var(axis=0) + least) for c in classes]
    expected = -2.0 * sum(overlap(a, b) for i, a in enumerate(gaussians) for b in gaussians[:i])
    assert float(gbc(features[kept], own, dims=dims)) == pytest.approx(expected, rel=RELATIVE)
