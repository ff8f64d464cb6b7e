"""A diagnosis of the projections says in every piece of evidence that it is one of the projections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import repdiag
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space
from repdiag.diagnosis.verdict import Diagnosis, Evidence

SMALL = {"classes": 4, "per_class": 12, "dims": 16}


def both_spaces(*, seed: int, split: str = "val") -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return a set whose features fall into islands and whose projections do not, and the latter as features."""
    scattered = draw_space(SpaceRecipe(**SMALL, islands=4, view=0.2), seed=seed, split=split)
    whole = draw_space(SpaceRecipe(**SMALL, islands=1, view=0.2), seed=seed, split=split)
    return replace(scattered, projections=whole.features, view_projections=whole.views), whole


def evidence_of(found: Diagnosis) -> Iterator[Evidence]:
    collapse = found.collapse
    for finding in (found.over_clustering, found.overfitting, collapse, *collapse_kinds(found)):
        yield from finding.evidence


def collapse_kinds(found: Diagnosis) -> tuple:
    return found.collapse.complete, found.collapse.cone, found.collapse.dimensional


def test_the_evidence_names_the_space_that_was_judged() -> None:
    val, plain_val = both_spaces(seed=1)
    train, plain_train = both_spaces(seed=1, split="train")
    other, plain_other = both_spaces(seed=2)
    judged = repdiag.diagnose(val, train=train, untrained=other, space="projections")
    plain = repdiag.diagnose(plain_val, train=plain_train, untrained=plain_other)
    assert {item.space for item in evidence_of(judged)} == {"projections"} == {judged.space}
    assert {item.space for item in evidence_of(plain)} == {"features"} == {plain.space}
    assert [item.value for item in evidence_of(judged)] == [item.value for item in evidence_of(plain)]
    assert {"permuted labels", "untrained copy", "train split"} <= {item.against_what for item in evidence_of(judged)}
