"""Every spectrum value of the golden sets, to 1e-6."""

from __future__ import annotations

import re

import pytest
from golden_sets import RELATIVE, SETS, claim, golden_set, keys

from repdiag.metrics.spectrum import (
    alpha_req,
    coherence,
    effective_rank,
    lidar,
    nesum,
    participation_ratio,
    pseudo_condition_number,
    rankme,
    self_clustering,
    stable_rank,
)

claim("rank/independent_effective_rank_no_eps")

VERSIONS = {
    "rankme/paper_formula_eps1e-7": (rankme, {}),
    "rankme/google_research_eps1e-12": (rankme, {"eps": 1e-12}),
    "stable_pretraining/rankme": (rankme, {"eps": 1e-5}),
    "reptrix/rankme": (rankme, {"spectrum": "eigenvalues", "centred": True}),
    "google_research/stable_rank": (stable_rank, {}),
    "google_research/ne_sum": (nesum, {}),
    "google_research/self_clustering": (self_clustering, {}),
    "google_research/coherence": (coherence, {}),
    "google_research/pseudo_condition_number": (pseudo_condition_number, {}),
    "google_research/alpha_req": (alpha_req, {"fit": "log_linear"}),
    "skdim/participation_ratio": (participation_ratio, {}),
}
LIDAR = {
    "stable_pretraining/lidar": {"delta": 1e-4, "eps": 1e-8},
    "reptrix/lidar": {"form": "reptrix", "delta": 1e-6, "eps": 1e-7},
}
MEMBERS = {"q2": "views", "q3": "original_and_views"}


@pytest.mark.parametrize(("name", "key"), keys(*VERSIONS))
def test_every_public_version_has_its_settings(name: str, key: str) -> None:
    data = golden_set(name)
    version, rows = key.rsplit("/", 1)
    function, settings = VERSIONS[version]
    assert float(function(data.rows("features", rows), **settings)) == pytest.approx(data.value(key), rel=RELATIVE)


@pytest.mark.parametrize(("name", "key"), keys("reptrix/alpha", "fastssl/alpha"))
def test_alpha_req_over_the_stated_range(name: str, key: str) -> None:
    data = golden_set(name)
    params = data.values[key]["params"]
    first, last = map(int, re.findall(r"\d+", params.get("fit_range") or params["trange"]))
    rows = data.rows("features", key.rsplit("/", 1)[1])
    assert float(alpha_req(rows, first=first, last=last)) == pytest.approx(data.value(key), rel=RELATIVE)


@pytest.mark.parametrize("name", SETS)
def test_effective_ranks_without_eps(name: str) -> None:
    data = golden_set(name)
    rows = data.arrays["features"]
    found = {
        "singular_values_uncentred": float(rankme(rows, eps=0.0)),
        "singular_values_centred": float(rankme(rows, eps=0.0, centred=True)),
        "eigenvalues_centred": float(effective_rank(rows)),
    }
    expected = data.value("rank/independent_effective_rank_no_eps")
    assert found == {key: pytest.approx(value, rel=RELATIVE) for key, value in expected.items()}


@pytest.mark.parametrize(("name", "key"), keys(*LIDAR))
def test_both_versions_of_lidar(name: str, key: str) -> None:
    data = golden_set(name)
    version, members, rows = key.rsplit("/", 2)
    found = lidar(data.rows("features", rows), data.rows("views", rows), members=MEMBERS[members], **LIDAR[version])
    assert float(found) == pytest.approx(data.value(key), rel=RELATIVE)
