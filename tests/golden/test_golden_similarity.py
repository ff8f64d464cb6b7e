"""Every two-encoder value of the golden sets, to 1e-6."""

from __future__ import annotations

import pytest
import torch
from golden_sets import RELATIVE, SETS, claim, golden_set, keys

from repdiag.metrics.similarity import cknna, linear_cka, mutual_knn, procrustes_distance

claim("procrustes/")

CKA = {
    "kornblith/linear_cka_biased_gram": {"debiased": False},
    "kornblith/linear_cka_biased_feature_space": {"debiased": False},
    "kornblith/linear_cka_debiased_gram": {"debiased": True},
    "kornblith/linear_cka_debiased_feature_space": {"debiased": True},
    "platonic/cka": {"debiased": False, "eps": 1e-6},
    "platonic/unbiased_cka": {"debiased": True, "eps": 1e-6},
}
SIMILARITY = {"raw": {"similarity": "inner_product"}, "l2": {}, "their_pipeline": {"clamp": 0.95}}


def both(name: str, rows: str = "raw") -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    data = golden_set(name)
    return data.rows("features", rows), {"other_features": data.rows("other_features", rows)}


@pytest.mark.parametrize(("name", "key"), keys(*(f"{version}/" for version in CKA)))
def test_linear_cka_of_every_source(name: str, key: str) -> None:
    version, rows = key.rsplit("/", 1)
    features, other = both(name, rows)
    found = linear_cka(features, **other, **CKA[version])
    assert float(found) == pytest.approx(golden_set(name).value(key), rel=RELATIVE)


@pytest.mark.parametrize(("name", "key"), keys("platonic/mutual_knn"))
def test_mutual_knn(name: str, key: str) -> None:
    _, _, k, pipeline = key.split("/")
    features, other = both(name)
    found = mutual_knn(features, **other, k=int(k[1:]), **SIMILARITY[pipeline])
    assert float(found) == pytest.approx(golden_set(name).value(key), rel=RELATIVE)


@pytest.mark.parametrize(("name", "key"), keys("platonic/cknna"))
def test_cknna(name: str, key: str) -> None:
    _, _, k, rows = key.split("/")
    features, other = both(name)
    found = cknna(features, **other, k=int(k[1:]), **SIMILARITY[rows])
    assert float(found) == pytest.approx(golden_set(name).value(key), rel=RELATIVE)


@pytest.mark.parametrize("name", SETS)
def test_procrustes_distance_in_every_form(name: str) -> None:
    data = golden_set(name)
    features, other = both(name)
    orthogonal = data.value("procrustes/scipy_orthogonal")
    expected = {
        "distance": orthogonal["distance_sqrt_2_minus_2s"],
        "squared": orthogonal["squared_distance"],
        "angular": orthogonal["angular_arccos"],
        "disparity": data.value("procrustes/scipy_spatial_disparity"),
        "size_and_shape": data.value("procrustes/resi_size_and_shape"),
    }
    found = {form: float(procrustes_distance(features, **other, form=form)) for form in expected}
    assert found == {form: pytest.approx(value, rel=RELATIVE) for form, value in expected.items()}
    assert found["distance"] == pytest.approx(data.value("procrustes/resi_centred_normalised"), rel=RELATIVE)
    assert found["distance"] == pytest.approx(orthogonal["residual_frobenius"], rel=RELATIVE)
    similarity = procrustes_distance(features, **other).extra["similarity"]
    assert similarity == pytest.approx(orthogonal["nuclear_norm"], rel=RELATIVE)
