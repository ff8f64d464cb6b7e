"""Analyses of images without labels, without a part to train on, or without a class in common: what can be is done."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch import nn

import repdiag
from repdiag.workflows.options import AnalysisOptions
from repdiag.workflows.rows import choose_rows


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "cache"))


def write(folder: Path, count: int, *, level: int = 0, mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        draw = np.random.default_rng([level, number])
        pixels = draw.integers(0, 120, (20, 24, 3), dtype=np.uint8) + np.uint8(level)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.png")


def options(**changes: object) -> AnalysisOptions:
    return AnalysisOptions(**changes)


def test_unlabelled_images_are_drawn_by_seed_in_equal_numbers(tmp_path: Path) -> None:
    write(tmp_path / "train", 9)
    write(tmp_path / "val", 6)
    rows = choose_rows(f"imagefolder:{tmp_path}", options())
    assert rows.bank is rows.queries is None
    assert rows.train is not None
    assert (len(rows.train), len(rows.val)) == (6, 6)
    limited = choose_rows(f"imagefolder:{tmp_path}", options(limit=3))
    assert len(limited.val) == 3
    assert set(limited.val.row_ids) < set(rows.val.row_ids)
    assert any("no labels" in note for note in rows.notes())


def test_a_part_to_validate_on_alone_is_analyzed_alone(tmp_path: Path) -> None:
    for level, name in enumerate(("cat", "dog")):
        write(tmp_path / "test" / name, 6, level=60 * level)
    rows = choose_rows(f"imagefolder:{tmp_path}", options(per_class=4))
    assert rows.train is rows.bank is rows.queries is None
    assert np.bincount(rows.val.labels).tolist() == [4, 4]
    assert set(rows.fingerprints()) == {"val"}
    assert any("no train split" in note for note in rows.notes())


def test_train_and_val_without_a_common_class_are_balanced_each_by_itself(tmp_path: Path) -> None:
    for part, names in (("train", ("cat", "dog", "emu")), ("val", ("fox", "gnu"))):
        for level, name in enumerate(names):
            write(tmp_path / part / name, 4, level=40 * level)
    rows = choose_rows(f"imagefolder:{tmp_path}", options())
    assert rows.train is not None
    assert len(rows.train) == len(rows.val) == 8
    assert np.bincount(rows.train.labels, minlength=5)[:3].min() >= 2
    assert any("share no class" in note for note in rows.notes())


def encoder() -> object:
    return repdiag.load_encoder(nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), image_size=16, name="pooled")


def test_an_analysis_without_labels_says_in_one_line_what_it_leaves_out_and_keeps_the_notes(tmp_path: Path) -> None:
    write(tmp_path / "data/train", 8, mode="L")
    write(tmp_path / "data/val", 8)
    found = repdiag.analyze(encoder(), data=f"imagefolder:{tmp_path}/data", untrained=False)
    metrics = {row.metric for row in found.table.rows}
    assert {"uniformity", "alignment", "rankme", "pretext_gap"} <= metrics
    assert not metrics & {"knn_accuracy", "nmi", "class_distance_ratio"}
    (left,) = (note for note in found.notes if "left out" in note)
    assert "need labels" in left
    assert "knn_accuracy" in left
    assert any("8 images gray" in note and note.startswith("images, train") for note in found.notes)
    folder = found.save(tmp_path / "out")
    record = json.loads((folder / "run.json").read_text())
    assert record["notes"] == list(found.notes)


def test_an_analysis_of_val_alone_leaves_out_what_needs_train(tmp_path: Path) -> None:
    for level, name in enumerate(("cat", "dog")):
        write(tmp_path / "data/val" / name, 6, level=100 * level)
    found = repdiag.analyze(encoder(), data=f"imagefolder:{tmp_path}/data", untrained=False)
    metrics = {row.metric for row in found.table.rows}
    assert {"uniformity", "precision_at_1", "class_distance_ratio"} <= metrics
    assert not metrics & {"knn_accuracy", "pretext_gap"}
    assert list(found.embeddings) == ["val"]
    assert any("need a train set and are left out" in note for note in found.notes)


def test_pairs_without_classes_are_told_without_classes() -> None:
    from repdiag.diagnosis.checkpoint_pairs import CLASS_COLUMNS
    from repdiag.workflows.pairs import PairTables

    tests = pd.DataFrame([{"first": "a", "second": "b", "metric": "rankme", "differs": True}])
    found = PairTables(answers=pd.DataFrame(), tests=tests, classes=pd.DataFrame(columns=list(CLASS_COLUMNS)))
    assert list(found.sentences()) == ["a against b: differ in rankme; classes that changed: 0"]
