"""Every agreement score of the golden clusterings, to 1e-6."""

from __future__ import annotations

import pytest
from golden_sets import RELATIVE, golden_set, keys

from repdiag.metrics.clusters import agreement
from repdiag.metrics.clusters.contingency import contingency

SCORES = {
    "nmi": agreement.normalized_mutual_information,
    "ami": agreement.adjusted_mutual_information,
    "ari": agreement.adjusted_rand_index,
    "homogeneity": agreement.homogeneity,
    "completeness": agreement.completeness,
    "v_measure": agreement.v_measure,
    "fowlkes_mallows": agreement.fowlkes_mallows_index,
    "mutual_info_nats": lambda table: table.mutual_information,
    "purity": agreement.purity,
}


@pytest.mark.parametrize(("name", "key"), keys(*(f"sklearn/{score}/" for score in SCORES)))
def test_agreement_scores(name: str, key: str) -> None:
    data = golden_set(name)
    _, score, assignment = key.split("/")
    table = contingency(data.labels.numpy(), data.arrays[assignment].numpy())
    assert SCORES[score](table) == pytest.approx(data.value(key), rel=RELATIVE)
