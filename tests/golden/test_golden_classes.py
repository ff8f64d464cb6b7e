"""Every class-distance value of the golden sets, to 1e-6."""

from __future__ import annotations

import pytest
import torch
from golden_sets import RELATIVE, SETS, golden_set, keys

from repdiag.metrics.classes import (
    calinski_harabasz,
    cdnv,
    davies_bouldin,
    inter_class_distance,
    intra_class_distance,
    nc1,
    nc2,
    silhouette,
)
from repdiag.metrics.pairwise import TopK, over_pairs, unit_rows

NEURAL_COLLAPSE = {
    "cdnv": (cdnv, {}),
    "nc1_pinv": (nc1, {}),
    "nc1_svd": (nc1, {}),
    "nc1_quotient": (nc1, {"method": "quotient"}),
    "nc2_simplex_etf_error": (nc2, {}),
    "nc1_pinv_sample_weighted_global_mean": (nc1, {"center": "rows"}),
    "nc1_quotient_sample_weighted_global_mean": (nc1, {"method": "quotient", "center": "rows"}),
    "nc2_simplex_etf_error_sample_weighted_global_mean": (nc2, {"center": "rows"}),
}
SKLEARN = {
    "silhouette_cosine": (silhouette, {}),
    "silhouette_euclidean": (silhouette, {"distance": "euclidean"}),
    "davies_bouldin": (davies_bouldin, {}),
    "calinski_harabasz": (calinski_harabasz, {}),
}


@pytest.mark.parametrize(("name", "key"), keys("ssl_small/intra_class_alignment"))
def test_intra_class_distance_is_the_intra_class_alignment_of_ssl_small(name: str, key: str) -> None:
    data = golden_set(name)
    features = data.arrays["features"] if key.endswith("original") else data.arrays["views"][0]
    assert float(intra_class_distance(features, data.labels)) == pytest.approx(data.value(key), rel=RELATIVE)


@pytest.mark.parametrize("name", SETS)
def test_pair_means_agree_with_brute_force(name: str) -> None:
    data = golden_set(name)
    features, labels, expected = data.arrays["features"], data.labels, data.value("independent/pairwise")
    intra = intra_class_distance(features, labels)
    assert intra.per_class is not None
    assert intra.per_class.tolist() == pytest.approx(expected["intra_per_class"], rel=RELATIVE)
    found = {
        "intra_mean_over_classes": float(intra),
        "intra_pooled_pairs": float(intra_class_distance(features, labels, average="pairs")),
        "inter_pooled_pairs": float(inter_class_distance(features, labels, average="pairs")),
        "inter_mean_over_class_pairs": float(inter_class_distance(features, labels)),
        "centroid_mean_sq_distance": float(inter_class_distance(features, labels, between="means")),
        "all_pairs_mean": float(intra_class_distance(features, torch.zeros_like(labels))),
    }
    assert found == {key: pytest.approx(expected[key], rel=RELATIVE) for key in found}
    closest = exact_scores_of_nearest(features)
    assert closest == pytest.approx(expected["min_pair_sq"], rel=RELATIVE, abs=1e-15)


def exact_scores_of_nearest(features: torch.Tensor) -> float:
    """Return the smallest squared distance of two unit rows: what the neighbour metrics see first."""
    rows = unit_rows(features)
    nearest = over_pairs(rows, TopK(1)).index[:, 0]
    everyone = torch.arange(len(features))
    return float((rows.exact(everyone) - rows.exact(nearest)).square().sum(dim=1).min())


@pytest.mark.parametrize(("name", "key"), keys("neural_collapse/"))
def test_neural_collapse_measures(name: str, key: str) -> None:
    data = golden_set(name)
    _, measure, rows = key.split("/")
    function, settings = NEURAL_COLLAPSE[measure]
    assert float(function(data.rows("features", rows), data.labels, **settings)) == pytest.approx(
        data.value(key), rel=RELATIVE
    )
    if rows == "l2":
        inside = function(data.arrays["features"], data.labels, normalize=True, **settings)
        assert float(inside) == pytest.approx(data.value(key), rel=RELATIVE)


@pytest.mark.parametrize(("name", "key"), keys(*(f"sklearn/{measure}/" for measure in SKLEARN)))
def test_cluster_validity_indices(name: str, key: str) -> None:
    data = golden_set(name)
    _, measure, grouping = key.split("/")
    function, settings = SKLEARN[measure]
    found = function(data.arrays["features"], data.arrays[grouping], **settings)
    assert float(found) == pytest.approx(data.value(key), rel=RELATIVE)
