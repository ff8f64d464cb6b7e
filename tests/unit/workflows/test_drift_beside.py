"""Drift beside a comparison: a row for each encoder, against the reference or the first."""

from __future__ import annotations

import numpy as np

import repdiag
from repdiag.workflows.drift_beside import drift_beside, drift_sentences

LABELS = np.arange(60) % 3
OLD = 3.0 * np.eye(6)[LABELS] + np.random.default_rng(0).normal(size=(60, 6))
NOISY = OLD + 0.3 * np.random.default_rng(1).normal(size=(60, 6))


def test_each_encoder_is_held_against_the_reference() -> None:
    rows = {"old": OLD, "turned": OLD[:, ::-1].copy(), "noisy": NOISY}
    sets = {name: repdiag.as_embedding_set(one, labels=LABELS) for name, one in rows.items()}
    found = drift_beside("old", sets)
    verdicts = found.set_index("new")["verdict"].to_dict()
    assert verdicts == {"turned": "same neighbourhoods, re-index", "noisy": "same classes, other neighbours"}
    assert set(found["old"]) == {"old"}
    (first, second) = drift_sentences(found)
    assert first.startswith(
        "drift from old to turned: same neighbourhoods, re-index; the nearest row is the same for 100"
    )
    assert "other neighbours" in second


def test_sets_of_other_rows_have_no_drift() -> None:
    old, other = (repdiag.as_embedding_set(rows) for rows in (OLD, OLD[:40]))
    assert len(drift_beside("old", {"old": old, "other": other})) == 0
