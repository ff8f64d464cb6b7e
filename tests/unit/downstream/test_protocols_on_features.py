"""Protocols on features: closed forms, and what every row must say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import repdiag
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import ConfigError, DataError, UsageError
from repdiag.downstream.held_out import held_out_rows
from repdiag.downstream.labelled_features import scaled
from repdiag.downstream.measures import eleven_point_precision
from repdiag.downstream.neighbours import trapezoidal_precision
from repdiag.downstream.outcome import SAID, classification_scores
from repdiag.downstream.presets import PRESETS, get_protocol
from repdiag.workflows.probed import paired_frame

ON_VECTORS = [protocol.name for protocol in PRESETS if hasattr(protocol.settings, "rows")]
QUICK = {
    "dino-blocks": {"steps_per_epoch": 20, "blocks": (1,), "tokens": ("class",)},
    "voc-svm": {"costs": (0.1, 1.0)},
    "few-shot": {"ways": 3, "shots": 4, "queries": 5},
}


def clouds(rows: int, *, spread: float, seed: int, classes: int = 3, dims: int = 8) -> EmbeddingSet:
    draws, labels = np.random.default_rng(seed), np.arange(rows) % classes
    return EmbeddingSet(features=2.0 * np.eye(dims)[labels] + spread * draws.normal(size=(rows, dims)), labels=labels)


@pytest.mark.parametrize(
    "name", [name for name in ON_VECTORS if getattr(get_protocol(name).settings, "lr", None) is None]
)
def test_classes_that_are_apart_are_told_apart_and_every_row_says_how(name: str) -> None:
    found = repdiag.probe(
        clouds(90, spread=0.05, seed=1), bank=clouds(120, spread=0.05, seed=2), protocol=name, settings=QUICK.get(name)
    )
    assert found.value == pytest.approx(1.0)
    for row in found.table:
        assert row.metric == name
        assert row.version == get_protocol(name).version
        assert set(SAID) <= set(row.extra)
        assert row.extra["seeds"] == [0]
        assert row.ci_low is not None
        assert row.ci_low - 1e-12 <= row.value <= row.ci_high + 1e-12


def test_changed_settings_stand_in_every_row_and_wrong_ones_are_refused() -> None:
    train, test = clouds(60, spread=1.0, seed=1), clouds(60, spread=1.0, seed=2)
    found = repdiag.probe(test, bank=train, protocol="knn", settings={"neighbours": 3})
    assert all(row.params["neighbours"] == 3 for row in found.table)
    assert "neighbours changed" in found.summary
    with pytest.raises(UsageError, match="neighbors") as caught:
        get_protocol("knn").with_overrides(["neighbors=3"])
    assert "neighbours" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="rows"):
        get_protocol("knn").with_overrides(["rows=sideways"])
    with pytest.raises(UsageError, match="liner"):
        get_protocol("liner")


def test_the_protocol_alone_moves_the_accuracy_of_the_same_features() -> None:
    """Of the levels of the digits the linear protocols differ by points, so no row goes without its protocol."""
    from sklearn.datasets import load_digits

    levels, labels = load_digits(return_X_y=True)
    known, asked = (
        EmbeddingSet(features=levels[rows].astype(np.float32), labels=labels[rows])
        for rows in (slice(0, 300), slice(300, None))
    )
    found = {
        name: repdiag.probe(asked, bank=known, protocol=name, settings=settings)
        for name, settings in (("linear", {}), ("swav-linear", {"augmentation": "none"}), ("compress-linear", {}))
    }
    values = [one.value for one in found.values()]
    assert max(values) - min(values) > 0.01
    for name, one in found.items():
        assert (one.row.metric, one.row.extra["protocol"]) == (name, name)
    trained = found["swav-linear"].row
    assert trained.extra["best_on_test"]["top1"] >= trained.value  # what others report; here the last epoch counts
    assert trained.value == trained.extra["last_epoch"]
    assert len(paired_frame(list(found.values()))) == 0  # values of two protocols are never held against each other


def test_the_test_set_chooses_nothing() -> None:
    """Another test set, of noise, leaves the choice and its curve as they are."""
    train = clouds(90, spread=1.5, seed=1)
    found = [repdiag.probe(clouds(60, spread=s, seed=9), bank=train, protocol="linear") for s in (0.1, 9.0)]
    curves = [one.row.extra["held_out_accuracy"] for one in found]
    assert curves[0] == curves[1]
    assert found[0].row.extra["penalty"] == found[1].row.extra["penalty"]
    assert found[0].value > found[1].value


def test_held_out_rows_are_a_share_of_every_class_without_repeats() -> None:
    truth = torch.tensor([0] * 40 + [1] * 10 + [2] * 2 + [3])
    held = held_out_rows(truth, 0.2, seed=0)
    assert torch.bincount(truth[held], minlength=4).tolist() == [8, 2, 1, 0]
    assert not torch.equal(held, held_out_rows(truth, 0.2, seed=1))


def test_row_scalings_are_what_they_are_called() -> None:
    train, test = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)) + 1, torch.ones(2, 4)
    unit, _ = scaled(train, test, "unit")
    assert torch.allclose(unit.norm(dim=1), torch.ones(50, dtype=torch.float64))
    both, asked = scaled(train, test, "unit, standardised")
    assert torch.allclose(both, (unit - unit.mean(0)) / unit.std(0, correction=0))
    assert torch.allclose(asked, (torch.full((2, 4), 0.5).double() - unit.mean(0)) / unit.std(0, correction=0))


def test_mean_per_class_weighs_classes_alike() -> None:
    """Eight of eight and one of two right: 90 % of images, 75 % over classes."""
    hits = torch.tensor([1.0] * 8 + [1.0, 0.0])
    labels = torch.tensor([0] * 8 + [1] * 2)
    scores = {score.measure: score.value for score in classification_scores(hits, labels, first="top1")}
    assert scores == pytest.approx({"top1": 0.9, "mean_per_class": 0.75})
    assert classification_scores(hits, labels, first="mean_per_class")[0].measure == "mean_per_class"


def test_eleven_points_are_not_the_area() -> None:
    """Hits at ranks 1 and 3 of 2: recall .5 by precision 1, the rest by 2/3. Six points see 1, five see 2/3."""
    assert eleven_point_precision([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((6 + 5 * 2 / 3) / 11)
    # Of ten relevant images the third is at a recall of .3, which the fourth point must see.
    assert eleven_point_precision(np.arange(12)[::-1], [True] * 3 + [False] * 2 + [True] * 7) == pytest.approx(
        (4 + 7 * 10 / 12) / 11
    )


def test_trapezoidal_precision_by_hand() -> None:
    """Ranks 1 and 3: (1 + 1) / 2 and (1/2 + 2/3) / 2, over two relevant."""
    got = trapezoidal_precision(torch.tensor([[1.0, 0.0, 1.0, 0.0]]))
    assert got.item() == pytest.approx((1.0 + (1 / 2 + 2 / 3) / 2) / 2)


def test_few_shot_says_1_96_standard_errors_and_what_is_too_few() -> None:
    train, test = clouds(60, spread=1.0, seed=1), clouds(60, spread=2.0, seed=2)
    settings = {"ways": 3, "shots": 2, "queries": 4, "episodes": 50}
    found = repdiag.probe(test, bank=train, protocol="few-shot", settings=settings)
    half = (found.row.ci_high - found.row.ci_low) / 2
    assert 0.3 < found.value < 0.95
    assert found.row.n == 50
    assert 0.0 < half < 1.96 * 0.5 / 50**0.5
    with pytest.raises(DataError, match="20 test images"):
        repdiag.probe(test, bank=train, protocol="few-shot")


def test_images_without_a_label_are_left_out_and_counted_and_unknown_classes_are_misses() -> None:
    train, test = clouds(60, spread=0.05, seed=1), clouds(60, spread=0.05, seed=2)
    labels = test.labels.clone()
    labels[:6] = -1
    labels[6] = 7
    test = EmbeddingSet(features=test.features, labels=labels)
    found = repdiag.probe(test, bank=train)
    assert found.row.n == 54
    assert found.value == pytest.approx(53 / 54)
    assert "6 images without a label" in found.notes[0]
