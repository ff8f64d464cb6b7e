"""Metrics fed batch by batch give what they give on all rows at once."""

from __future__ import annotations

import pytest
import torch

from repdiag import metrics
from repdiag.core.errors import ConfigError, MetricError
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


def test_rows_far_from_the_origin_keep_the_digits_of_their_spread() -> None:
    """Squares about the origin, less those of the mean, would leave nothing but rounding here."""
    far, stream = ROWS * torch.tensor([1.0, 0.1] * 4 + [0.01], dtype=torch.float64) + 1e7, Spectrum()
    for rows in far.split(BATCHES):
        stream.update(rows)
    assert float(stream.compute()["effective_rank"]) == pytest.approx(float(metrics.effective_rank(far)), rel=1e-6)


def test_fewer_rows_than_dimensions_have_as_many_singular_values_as_rows() -> None:
    """Each of them has eps added to it: with hundreds of zeros more, the rank would read high."""
    stream, wide = Spectrum(), torch.randn(12, 400, generator=GENERATOR, dtype=torch.float64)
    for rows in wide.split(5):
        stream.update(rows)
    for name, value in stream.compute().items():
        assert float(value) == pytest.approx(float(getattr(metrics, name)(wide)), **SAME)


def test_equal_rows_have_no_spread_whatever_their_batches() -> None:
    stream = Spectrum()
    for rows in torch.full((10, 3), 0.1, dtype=torch.float64).split(3):
        stream.update(rows)
    assert stream.compute()["effective_rank"].reason == "the spectrum is zero"


@pytest.mark.parametrize("labels", [torch.zeros(40, dtype=torch.int64), torch.arange(40), torch.tensor([0] * 39 + [1])])
def test_each_class_distance_has_a_value_where_the_metric_has_one(labels: torch.Tensor) -> None:
    stream = ClassDistances()
    for rows, names in zip(ROWS[:40].split(15), labels.split(15), strict=True):
        stream.update(rows, names)
    for name, value in stream.compute().items():
        expected = getattr(metrics, name)(ROWS[:40], labels)
        assert (value.value, value.reason) == (
            expected.value and pytest.approx(expected.value, **SAME),
            expected.reason,
        )


@pytest.mark.parametrize("stream", [Uniformity(), ClassDistances(), Spectrum()])
def test_a_batch_of_another_dimension_is_named(stream) -> None:
    labels = (LABELS[:3],) if isinstance(stream, ClassDistances) else ()
    stream.update(ROWS[:3], *labels)
    with pytest.raises(MetricError, match=r"differ in dimension[\s\S]*8 after 9"):
        stream.update(ROWS[:3, :8], *labels)


@pytest.mark.parametrize("wrong", [lambda: Uniformity(t=-1.0), lambda: Alignment(alpha=0.0)])
def test_settings_are_held_to_those_of_the_metrics(wrong) -> None:
    with pytest.raises(ConfigError, match="must be a number above 0"):
        wrong()


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


def test_streams_are_there_without_an_import_of_their_own() -> None:
    assert metrics.__getattr__("streaming").Uniformity is Uniformity
