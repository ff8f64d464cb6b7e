"""The published encoders: the rank correlation that the literature's numbers give, and a figure of equal bytes."""

from pathlib import Path

import pytest

from analyses.published_architectures.run import published_frame
from repdiag.plots.save import save_figure
from repdiag.plots.scatter_against_accuracy import scatter_against_accuracy


def test_intra_class_distance_follows_accuracy_and_uniformity_does_not() -> None:
    frame = published_frame()
    found = frame.groupby("metric")[["correlation", "correlation_low", "correlation_high"]].first()
    assert found.loc["intra_class_distance", "correlation"] == pytest.approx(-33 / 35)  # one swap of neighbours in six
    assert found.loc["intra_class_distance", "correlation_high"] < 0
    assert found.loc["uniformity", "correlation_low"] < 0 < found.loc["uniformity", "correlation_high"]
    assert frame["checkpoint"].nunique() == 6


def test_the_figure_has_the_same_bytes_twice(tmp_path: Path) -> None:
    frame = published_frame()
    for name in ("one", "two"):
        save_figure(scatter_against_accuracy(frame), frame, tmp_path / name, name="scatter")
    first, second = (
        {path.suffix: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")
    )
    assert set(first) == {".png", ".pdf", ".svg", ".csv", ".txt"}
    assert first == second
