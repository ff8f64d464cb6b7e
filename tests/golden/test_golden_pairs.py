"""Every golden value of alignment, uniformity, tolerance and instance discrimination."""

from __future__ import annotations

import statistics

import pytest
import torch
from golden_sets import RELATIVE, SETS, claim, golden_set, keys

from repdiag.metrics.hypersphere import alignment, tolerance, uniformity, uniformity_subsampled
from repdiag.metrics.pretext import instance_discrimination_accuracy

claim("independent/pairwise", "tolerance/")

PAIR = {"d-sd": "original-view", "sd-sd": "view-view"}
ROWS = {"original": None, "view1": 0, "view2": 1}


def rows_of(data, name):
    return data.arrays["features"] if ROWS[name] is None else data.arrays["views"][ROWS[name]]


@pytest.mark.parametrize(("name", "key"), keys("ssl_small/alignment/", "align_uniform/align_loss/"))
def test_alignment(name: str, key: str) -> None:
    data = golden_set(name)
    alpha = 1.0 if "alpha1" in key else 2.0
    found = alignment(
        data.arrays["features"], data.arrays["views"], pair=PAIR[key.rsplit("/", maxsplit=1)[-1]], alpha=alpha
    )
    assert float(found) == pytest.approx(data.value(key), rel=RELATIVE)


@pytest.mark.parametrize(("name", "key"), keys("ssl_small/uniformity_exact/", "align_uniform/uniform_loss/"))
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_uniformity(name: str, key: str, precision: str) -> None:
    data = golden_set(name)
    rows = rows_of(data, key.rsplit("/", maxsplit=1)[-1])
    t = 3.0 if "/t3/" in key else 2.0
    found = uniformity(rows if precision == "float64" else rows.float(), t=t)
    assert float(found) == pytest.approx(data.value(key), rel=RELATIVE)


@pytest.mark.parametrize("name", SETS)
def test_uniformity_agrees_with_brute_force(name: str) -> None:
    data = golden_set(name)
    expected = data.value("independent/pairwise")
    found = {f"uniformity_t{t}": float(uniformity(data.arrays["features"], t=float(t))) for t in (2, 3)}
    assert found == {key: pytest.approx(expected[key], rel=RELATIVE) for key in found}


@pytest.mark.parametrize(("name", "key"), keys("ssl_small/uniformity_3x128/"))
def test_the_published_estimator_has_the_published_spread(name: str, key: str) -> None:
    data = golden_set(name)
    rows, expected = rows_of(data, key.rsplit("/", maxsplit=1)[-1]), data.value(key)
    draws = [float(uniformity_subsampled(rows, seed=seed)) for seed in range(expected["n_seeds"])]
    # The same seeds draw the same subsets; their code ran in float32.
    assert statistics.mean(draws) == pytest.approx(expected["mean"], rel=RELATIVE)
    assert statistics.stdev(draws) == pytest.approx(expected["sd_ddof1"], rel=1e-3)
    assert (min(draws), max(draws)) == pytest.approx((expected["min"], expected["max"]), rel=RELATIVE)


@pytest.mark.parametrize("name", SETS)
def test_tolerance_with_every_denominator(name: str) -> None:
    data = golden_set(name)
    expected = data.value("tolerance/variants")
    averages = {
        "per_class_offdiag_mean": "classes",
        "pooled_same_class_pairs_offdiag": "pairs",
        "paper_expectation_all_pairs_n2_with_diag": "all_pairs_with_self",
        "paper_expectation_all_pairs_offdiag": "all_pairs",
    }
    found = {key: float(tolerance(data.rows("features"), data.labels, average=a)) for key, a in averages.items()}
    assert found == {key: pytest.approx(expected[key], rel=RELATIVE) for key in averages}
    published = float(tolerance(data.rows("features"), data.labels, average="classes_with_self"))
    assert published == pytest.approx(data.value("tolerance/wang_liu_public_code"), rel=RELATIVE)


@pytest.mark.parametrize(("name", "key"), keys("independent/instance_discrimination/"))
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_instance_discrimination_ranks_exactly(name: str, key: str, precision: str) -> None:
    data = golden_set(name)
    features, views = data.arrays["features"], data.arrays["views"]
    if precision == "float32":
        features, views = features.float(), views.float()
    found = [
        100 * float(instance_discrimination_accuracy(features, views, pair=PAIR[key.rsplit("/", maxsplit=1)[-1]], k=k))
        for k in range(1, 6)
    ]
    assert found == pytest.approx(data.value(key), rel=1e-12)


@pytest.mark.parametrize(("name", "key"), keys("ssl_small/instance_discrimination/"))
def test_instance_discrimination_is_that_of_ssl_small(name: str, key: str) -> None:
    data = golden_set(name)
    _, _, pair, top = key.split("/")
    found = instance_discrimination_accuracy(
        data.arrays["features"], data.arrays["views"], pair=PAIR[pair], k=int(top.removeprefix("top"))
    )
    # Their percentage is a float32 number, as their similarities are.
    close = 100 * decided_by_rounding(data, PAIR[pair], int(top.removeprefix("top")))
    assert 100 * float(found) == pytest.approx(data.value(key), rel=RELATIVE, abs=close)


def decided_by_rounding(data, pair: str, k: int) -> float:
    """Return the share of queries whose rank k hangs on similarities closer than two float32 roundings."""
    anchors, positives = data.rows("features", "l2"), data.rows("views", "l2")[0]
    if pair == "view-view":
        anchors, positives = data.rows("views", "l2")
    margin = anchors @ anchors.T - (anchors * positives).sum(dim=1)[:, None]
    margin.fill_diagonal_(-torch.inf)
    copies = margin > 1.0 - (anchors * positives).sum(dim=1)[:, None] - 1e-12  # exact copies are above on both sides
    surely, maybe = (margin > 2.0**-23) | copies, margin >= -(2.0**-23)
    return float(((surely.sum(dim=1) < k) & (maybe.sum(dim=1) >= k)).double().mean())
