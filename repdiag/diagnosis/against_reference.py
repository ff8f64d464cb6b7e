"""An encoder held against a reference by the questions of a comparison: granularity, overfitting."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from repdiag.core.errors import MetricError
from repdiag.diagnosis.compared import compare_encoders
from repdiag.diagnosis.compared_answers import NOT_TOLD_APART, answers
from repdiag.diagnosis.pair_answers import EncoderSets, answer_said
from repdiag.diagnosis.verdict import Diagnosis, Standing

# Grouping and accuracy are answered by the standing that every other encoder gets.
_ASKED = ("over_clustering", "overfitting")


def held_against_reference(
    found: Diagnosis, mine: EncoderSets, its: EncoderSets, *, name: str, groups: Any = None, seed: int = 0
) -> Diagnosis:
    """Return the diagnosis with a standing for each question that tells this encoder from the reference."""
    try:
        compared = compare_encoders(
            mine.val, its.val, first_train=mine.train, second_train=its.train, groups=groups, seed=seed
        )
    except MetricError:
        return found  # no labels: nothing of it can be asked
    told = [item for item in answers(compared) if item.question in _ASKED and item.answer != NOT_TOLD_APART]
    standings = [
        Standing(against=name, verdict=item.answer, sentence=f"Against the {name}: {answer_said(asdict(item))}.")
        for item in told
    ]
    return replace(found, standings=(*found.standings, *standings))
