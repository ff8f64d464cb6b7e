"""Rows to look at: planted faults are found by name, ordinary spaces pass."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import ConfigError
from repdiag.diagnosis.row_checks import RowChecks, check_rows, space_notes

ROWS, CLASSES, DIMS = 600, 6, 32


def ordinary(seed: int = 0, *, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    """Return classes that are told apart by most rows, with features like those after a ReLU."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(rows) % CLASSES
    centres = torch.randn(CLASSES, DIMS, generator=torch.Generator().manual_seed(99))
    return (centres[labels] + 1.2 * torch.randn(rows, DIMS, generator=draw)).relu() + 0.01, labels


def checked(features: Tensor, labels: Tensor | None = None, **settings) -> RowChecks:
    ids = np.array([f"image {row}" for row in range(len(features))])
    return check_rows(EmbeddingSet(features=features, labels=labels, row_ids=ids), **settings)


def found(checks: RowChecks, what: str) -> set[str]:
    return {row.row_id for row in checks.rows if row.what == what}


def names(rows) -> set[str]:
    return {f"image {int(row)}" for row in rows}


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_space_passes(seed: int) -> None:
    """But for what check_rows says of ordinary encoders: .5 % of outliers, 3.5 % whose label the encoder gets wrong."""
    checks = checked(*ordinary(seed), search=True)
    assert set(checks.counts) <= {"label issue", "outlier"}
    assert checks.counts.get("outlier", 0) <= 3
    assert checks.counts.get("label issue", 0) <= 21
    assert [note.what for note in checks.notes if note.look] == []


def test_nothing_to_look_at_is_said() -> None:
    features, _ = ordinary()
    assert checked(features).summary == "No row deserves a look."


def test_near_copies_are_found_with_their_partner() -> None:
    """A third of the rows are another row and a hundredth of noise: all of these and their originals, nobody else."""
    features, labels = ordinary()
    noise = torch.randn(200, DIMS, generator=torch.Generator().manual_seed(1))
    features[400:] = features[:200] + 0.01 * noise
    checks = checked(features, labels)
    assert found(checks, "near-copy") == names([*range(200), *range(400, 600)])
    by_name = {row.row_id: row for row in checks.rows}
    assert by_name["image 405"].neighbour == "image 5"


def test_thirty_copies_of_one_image_are_copies_too() -> None:
    features, labels = ordinary()
    features[10:40] = features[10]
    assert found(checked(features, labels), "near-copy") == names(range(10, 40))


def test_val_images_that_are_in_train_are_leaks() -> None:
    features, labels = ordinary()
    train, train_labels = ordinary(seed=5)
    train[:25] = features[100:125]
    other = EmbeddingSet(features=train, labels=train_labels, row_ids=np.array([f"train {row}" for row in range(ROWS)]))
    checks = checked(features, labels, train=other)
    assert found(checks, "near-copy across train and val") == names(range(100, 125))
    assert {row.neighbour for row in checks.rows} == {f"train {row}" for row in range(25)}


def test_flipped_labels_are_found() -> None:
    """Of 30 rows with the label of the next class most are found; of the 570 others hardly any."""
    draw = torch.Generator().manual_seed(3)
    labels = torch.arange(ROWS) % CLASSES
    features = 3.0 * torch.eye(CLASSES, DIMS)[labels] + 0.5 * torch.randn(ROWS, DIMS, generator=draw)
    flipped = torch.randperm(ROWS, generator=draw)[:30]
    labels[flipped] = (labels[flipped] + 1) % CLASSES
    issues = found(checked(features, labels), "label issue")
    assert len(issues & names(flipped)) >= 24
    assert len(issues - names(flipped)) <= 3


def test_cleanlab_finds_them_as_well() -> None:
    pytest.importorskip("cleanlab", reason="the extra cleanlab is not installed")
    draw = torch.Generator().manual_seed(3)
    labels = torch.arange(ROWS) % CLASSES
    features = 3.0 * torch.eye(CLASSES, DIMS)[labels] + 0.5 * torch.randn(ROWS, DIMS, generator=draw)
    flipped = torch.randperm(ROWS, generator=draw)[:30]
    labels[flipped] = (labels[flipped] + 1) % CLASSES
    issues = found(checked(features, labels, label_rule="cleanlab"), "label issue")
    assert len(issues & names(flipped)) >= 24
    assert len(issues - names(flipped)) <= 6


def test_without_cleanlab_it_is_said_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cleanlab.filter", None)
    with pytest.raises(ConfigError, match="pip install 'repdiag\\[cleanlab\\]'"):
        checked(*ordinary(), label_rule="cleanlab")


def test_rows_far_from_everything_are_outliers() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(ROWS) % CLASSES
    features = torch.eye(CLASSES, DIMS)[labels] + 0.05 * torch.randn(ROWS, DIMS, generator=draw)
    features[:30] = torch.randn(30, DIMS, generator=draw)
    outlying = found(checked(features, labels), "outlier")
    assert outlying >= names(range(30))
    assert len(outlying) <= 33


def test_a_dimension_that_rules_all_cosines_is_named() -> None:
    features, labels = ordinary()
    features[:, 11] = 20.0
    (note,) = (note for note in checked(features, labels).notes if note.look)
    assert note.what == "dominating dimension"
    assert "Dimension 11" in note.sentence


def test_hubs_and_antihubs_of_rows_that_lie_around_one_direction() -> None:
    """Rows of one direction and noise of many widths: the quiet ones are everybody's neighbours, most nobody's."""
    draw = torch.Generator().manual_seed(0)
    width = torch.randn(ROWS, 1, generator=draw).exp()
    cloud = 1.0 + width * torch.randn(ROWS, 200, generator=draw)
    checks = checked(cloud, search=True)
    quietest = int(width.argmin())
    assert f"image {quietest}" in found(checks, "hub")
    assert "antihubs" in {note.what for note in checks.notes if note.look}
    assert f"image {int(width.argmax())}" in found(checks, "antihub")
    assert found(checked(cloud), "hub") == set(), "hubs are for who searches"


def test_directions_without_structure_are_all_equally_far() -> None:
    """In 400 dimensions the distances of random directions are sqrt(2), give or take 3.5 %."""
    noise = torch.randn(ROWS, 400, generator=torch.Generator().manual_seed(0))
    assert [note.what for note in checked(noise, search=True).notes if note.look] == ["concentration of distances"]


def test_norms_and_inner_products() -> None:
    features, labels = ordinary()
    unit = torch.nn.functional.normalize(features, dim=1)
    notes = {note.what: note for note in checked(unit, labels, search=True).notes}
    assert notes["cosine and inner product"].value == 0.0
    assert notes["spread of norms"].value == pytest.approx(0.0, abs=1e-6)
    long = unit * torch.linspace(0.1, 10.0, ROWS)[:, None]
    notes = {note.what: note for note in checked(long, labels, search=True).notes}
    assert notes["cosine and inner product"].value > 0.8
    assert notes["spread of norms"].look


def test_of_very_many_rows_some_are_searched_by_inner_product(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = ordinary()
    features = features * torch.linspace(0.5, 2.0, ROWS)[:, None]
    every = {note.what: note for note in checked(features, labels, search=True).notes}["cosine and inner product"]
    monkeypatch.setattr(space_notes, "_QUERIES", ROWS // 2)
    some = {note.what: note for note in checked(features, labels, search=True).notes}["cosine and inner product"]
    assert some.value == pytest.approx(every.value, abs=0.1)
    assert f"of {ROWS // 2:,} rows drawn by lot" in some.sentence
    assert "of the rows have" in every.sentence


@pytest.mark.parametrize(
    ("features", "reason"), [(torch.rand(20, 4), "21 rows"), (torch.ones(50, 4), "the same point")]
)
def test_what_cannot_be_checked_is_said(features: Tensor, reason: str) -> None:
    checks = checked(features)
    assert checks.rows == ()
    assert reason in checks.left_out["everything"]


def test_without_labels_label_issues_are_left_out_by_name() -> None:
    assert checked(ordinary()[0]).left_out == {"label issue": "there are no labels"}


def test_the_file_holds_what_the_frame_holds(tmp_path) -> None:
    features, _ = ordinary()
    features[1] = features[0]
    checks = checked(features)
    assert checks.counts == {"near-copy": 2}
    assert "2 near-copy" in checks.summary
    written = pd.read_csv(checks.write(tmp_path))
    assert (tmp_path / "rows_to_check.csv").is_file()
    assert list(written.columns) == ["row_id", "split", "what", "why", "neighbour", "value"]
    assert written["neighbour"].tolist() == ["image 1", "image 0"]


def test_the_example_holds() -> None:
    module = importlib.import_module("repdiag.diagnosis.row_checks.check_rows")
    names = {**vars(module), "torch": torch}
    (test,) = doctest.DocTestFinder(recurse=False).find(module.check_rows, "check_rows", globs=names)
    assert doctest.DocTestRunner().run(test).failed == 0
