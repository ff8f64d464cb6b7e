"""Metrics fed batch by batch give what they give on all rows at once."""

from __future__ import annotations

import pytest
import torch

from repdiag import metrics
from repdiag.core.errors import MetricError
from repdiag.metrics.streaming import Alignment, ClassDistances, Spectrum, Uniformity

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(157, 9, generator=GENERATOR, dtype=torch.float64) + 0.4
VIEWS = ROWS + 0.3 * torch.randn(157, 9, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.randint(0, 5, (157,), generator=GENERATOR)
BATCHES = (1, 64, 64, 28)  # one batch of a single row, and classes that some batches lack
SAME = {"rel": 1e-9}


def test_every_stream_gives_the_value_of_all_rows() -> None:
    alignment, uniformity, distances, spectrum = Alignment(), Uniformity(), ClassDistances(), Spectrum()
    for rows, views, labels in zip(ROWS.split(BATCHES), VIEWS.split(BATCHES), LABELS.split(BATCHES), strict=True):
        alignment.update(rows, views)
        uniformity.update(rows)
        distances.update(rows, labels)
        spectrum.update(rows.numpy())
    assert float(alignment.compute()) == pytest.approx(float(metrics.alignment(ROWS, VIEWS[None])), **SAME)
    assert float(uniformity.compute()) == pytest.approx(float(metrics.uniformity(ROWS)), **SAME)
    for name, value in distances.compute().items():
        assert float(value) == pytest.approx(float(getattr(metrics, name)(ROWS, LABELS)), **SAME)
    for name, value in spectrum.compute().items():
        assert float(value) == pytest.approx(float(getattr(metrics, name)(ROWS)), **SAME)
        assert value.n == len(ROWS)


def test_a_batch_may_be_overwritten_by_the_next() -> None:
    buffer, stream = torch.empty(64, 9, dtype=torch.float64), Uniformity()
    for rows in ROWS[:128].split(64):
        stream.update(buffer.copy_(rows))
    assert float(stream.compute()) == pytest.approx(float(metrics.uniformity(ROWS[:128])), **SAME)


def test_collapsed_directions_count_as_zero() -> None:
    flat = ROWS.clone()
    flat[:, 4:] = 0.0
    stream = Spectrum()
    stream.update(flat)
    assert float(stream.compute()["rankme"]) == pytest.approx(float(metrics.rankme(flat)), rel=1e-4)


def test_nothing_yet_is_a_reason_and_bad_rows_are_named() -> None:
    values = [Alignment().compute(), Uniformity().compute()]
    values += [*ClassDistances().compute().values(), *Spectrum().compute().values()]
    assert all(value.value is None and value.reason for value in values)
    bad = ROWS.clone()
    bad[3, 0] = torch.nan
    with pytest.raises(MetricError, match="NaN or infinite"):
        Spectrum().update(bad)
