"""What a sample of the rows leaves open that all of them would answer."""

from __future__ import annotations

from dataclasses import replace

from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.verdict import INCONCLUSIVE, NOT_OVER, Diagnosis

ENOUGH_OF_CLASS = 300
"""Rows of a class at which held-out bisection finds two joined kindred classes in 80 % of draws."""


def open_where_sampled(diagnosis: Diagnosis, *, of_class: float, there: float) -> Diagnosis:
    """Return the diagnosis without the answer that no class falls apart, where a sample is too small to say so.

    `of_class` rows of a class were looked at in the mean, of the `there` that the set has.
    """
    found = diagnosis.over_clustering
    if found.verdict != NOT_OVER or of_class >= min(there, ENOUGH_OF_CLASS):
        return diagnosis
    why = f"{of_class:.0f} of {there:.0f} rows of a class were measured: too few to exclude split classes."
    opened = replace(
        found,
        verdict=INCONCLUSIVE,
        severity="unknown",
        summary=f"{why} {found.summary}",
        advice=advice_for(INCONCLUSIVE),
    )
    return replace(diagnosis, over_clustering=opened)
