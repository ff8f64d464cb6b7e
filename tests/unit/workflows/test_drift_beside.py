"""Drift beside a comparison: a row for each encoder, against the reference or the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import repdiag
from repdiag.results.reading import read_frame
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


def test_an_analysis_beside_a_reference_has_the_drift_in_numbers_in_words_and_on_the_page(tmp_path: Path) -> None:
    found = repdiag.analyze(OLD, labels=LABELS, reference=NOISY, protocol="shi2022")
    assert found.drift is not None
    (row,) = found.drift.to_dict(orient="records")
    assert (row["old"], row["verdict"], row["n"]) == ("reference vectors", "same classes, other neighbours", 60)
    assert 0.0 < row["linear_cka"] < 1.0
    assert any(note.startswith("drift from reference vectors") for note in found.notes)
    folder = found.save(tmp_path / "run")
    assert read_frame(folder / "drift.csv")["verdict"].tolist() == [row["verdict"]]
    page = found.report(tmp_path / "report.html", map_method="none", figures=False).read_text("utf-8")
    assert '<section id="drift">' in page


def test_metrics_of_two_encoders_take_the_reference() -> None:
    found = repdiag.analyze(OLD, labels=LABELS, reference=NOISY, metrics=["linear_cka", "mutual_knn"])
    values = {row.metric: row.value for row in found.table}
    assert all(value is not None and 0.0 < value < 1.0 for value in values.values())
