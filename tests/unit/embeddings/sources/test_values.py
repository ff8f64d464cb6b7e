"""Bytes, tokens, labels that stand for none and rows without a direction are read as they are meant, and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import repdiag
from repdiag.core.errors import DataError, MetricError, UsageError
from repdiag.embeddings.as_embedding_set import as_embedding_set

DRAW = np.random.default_rng(0)
LABELS = np.arange(60) % 4
ROWS = (DRAW.normal(size=(4, 16))[LABELS] + DRAW.normal(size=(60, 16))).astype(np.float32)
LOW, HIGH = ROWS.min(axis=0), ROWS.max(axis=0)
CODES = np.round((ROWS - LOW) / (HIGH - LOW) * 255)
BITS = np.tile(ROWS > 0, (1, 4))


@pytest.mark.parametrize(
    "values",
    [
        CODES.astype(np.uint8),
        (CODES - 128).astype(np.int8),
        CODES.astype(np.int64),
        np.packbits(BITS, axis=1),
        (np.packbits(BITS, axis=1).astype(int) - 128).astype(np.int8),
    ],
)
def test_bytes_are_never_read_as_directions_in_silence(values: np.ndarray) -> None:
    for source in (values, {"features": values}):
        with pytest.raises(DataError, match=r"are bytes[\s\S]*--quantised"):
            as_embedding_set(source)
    assert as_embedding_set(values, quantised="plain").features.tolist() == values.tolist()


@pytest.mark.parametrize("values", [np.packbits(BITS, axis=1), np.packbits(BITS, axis=1).view(np.int8) ^ -128, BITS])
def test_bits_are_signs_whose_cosine_is_that_of_hamming(values: np.ndarray) -> None:
    found = as_embedding_set(values, quantised="bits").features.double()
    assert torch.equal(found, torch.as_tensor(BITS).double() * 2 - 1)
    hamming = (BITS[0] != BITS[1]).sum()
    cosine = torch.nn.functional.cosine_similarity(found[0], found[1], dim=0)
    assert float(cosine) == pytest.approx(1 - 2 * hamming / BITS.shape[1])


def test_an_affine_code_is_read_by_its_scale() -> None:
    beside = {"features": CODES.astype(np.uint8), "min": LOW, "max": HIGH}
    assert np.allclose(as_embedding_set(beside).features.numpy(), ROWS, atol=float((HIGH - LOW).max() / 500))
    scaled = as_embedding_set(CODES.astype(np.uint8), quantised="0.5,128").features
    assert scaled.tolist() == ((CODES - 128) * 0.5).tolist()
    with pytest.raises(UsageError, match="SCALE,ZERO"):
        as_embedding_set(CODES.astype(np.uint8), quantised="half")


@pytest.mark.parametrize("values", [(ROWS * 30).clip(-127, 127).astype(np.int8), (CODES / 16).astype(np.uint8)])
def test_small_whole_numbers_are_plain_and_said(values: np.ndarray) -> None:
    found = as_embedding_set(values)
    assert found.features.tolist() == values.tolist()
    assert "read as plain numbers" in found.provenance.reading.notes[0]


def test_tokens_are_asked_for_and_treated_as_told() -> None:
    tokens = {"hidden": np.stack([ROWS, ROWS + 1, ROWS + 3], axis=1), "label": LABELS}
    with pytest.raises(DataError, match=r"3 tokens of 16 dimensions[\s\S]*--tokens class"):
        as_embedding_set(tokens)
    assert as_embedding_set(tokens, tokens="class").features.tolist() == ROWS.tolist()
    assert np.allclose(as_embedding_set(tokens, tokens="mean").features.numpy(), ROWS + 4 / 3, atol=1e-6)
    every = as_embedding_set(tokens, tokens="all")
    assert every.features.shape == (180, 16)
    assert every.labels.tolist() == np.repeat(LABELS, 3).tolist()
    assert every.groups.tolist() == np.repeat(np.arange(60), 3).tolist()
    row = repdiag.evaluate(every, ["precision_at_1"]).rows[0]
    grouped = repdiag.evaluate(every.features, ["precision_at_1"], labels=every.labels, groups=every.groups).rows[0]
    assert (row.value, row.ci_low) == (grouped.value, grouped.ci_low)


def test_unlabelled_rows_count_for_what_needs_no_labels_only() -> None:
    missing = LABELS.astype(object)
    missing[[3, 10, 11]] = ["NA", None, ""]
    table = {"features": ROWS, "label": missing}
    known = np.delete(np.arange(60), [3, 10, 11])
    names = ["precision_at_1", "class_distance_ratio", "uniformity"]
    found = repdiag.evaluate(table, names)
    part = repdiag.evaluate(ROWS[known], names, labels=LABELS[known])
    whole = repdiag.evaluate(ROWS, names, labels=LABELS)
    for name, right in (("precision_at_1", part), ("class_distance_ratio", part), ("uniformity", whole)):
        row, its = found.where(metric=name).rows[0], right.where(metric=name).rows[0]
        assert (row.value, row.n) == (its.value, its.n)
        assert name == "uniformity" or row.ci_low == its.ci_low
    assert len(found.per_row[0]) == 60
    diagnosis = repdiag.diagnose(table)
    assert (
        diagnosis.over_clustering.verdict == repdiag.diagnose(ROWS[known], labels=LABELS[known]).over_clustering.verdict
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.where(LABELS < 2, -1, 1), [0, 0, 1, 1]),
        (np.where(LABELS == 1, -100, LABELS), [0, -1, 2, 3]),
        (np.array(["a", "nan", "b", "N/A"])[LABELS], [0, -1, 1, -1]),
        (np.eye(4, dtype=np.uint8)[LABELS], [0, 1, 2, 3]),
        (LABELS[:, None], [0, 1, 2, 3]),
        (-2 - LABELS, [3, 2, 1, 0]),
    ],
)
def test_labels_of_many_kinds(values: np.ndarray, expected: list[int]) -> None:
    assert as_embedding_set(ROWS, labels=values).labels.tolist()[:4] == expected


def test_what_stands_for_none_can_be_told() -> None:
    labels = np.array(["cat", "Unknown", "dog", "-1"])[LABELS]
    found = as_embedding_set(ROWS, labels=labels)
    assert found.class_names == ("Unknown", "cat", "dog")
    assert any("--unlabelled 'Unknown'" in note for note in found.provenance.reading.notes)
    assert as_embedding_set(ROWS, labels=labels, unlabelled="Unknown,-1").class_names == ("cat", "dog")
    assert len(as_embedding_set(ROWS, labels=labels, unlabelled="none").class_names) == 4


def test_several_labels_a_row_are_kept_and_what_needs_one_says_so() -> None:
    several = DRAW.random((60, 5)) < 0.4
    found = as_embedding_set(ROWS, labels=several)
    assert found.label_matrix.tolist() == several.astype(int).tolist()
    assert found.select([4, 2]).label_matrix.tolist() == several[[4, 2]].astype(int).tolist()
    assert "several each" in repdiag.evaluate(found).where(metric="precision_at_1").rows[0].reason
    with pytest.raises(MetricError, match="several each"):
        repdiag.evaluate(found, ["r_precision"])
    with pytest.raises(DataError, match="zeros and ones"):
        as_embedding_set(ROWS, labels=DRAW.random((60, 5)))


def test_rows_without_a_direction_are_left_out_and_counted(tmp_path) -> None:
    rows = ROWS.copy()
    rows[[3, 7]] = 0.0
    np.savez(tmp_path / "a.npz", features=rows, labels=LABELS)
    found = as_embedding_set(tmp_path / "a.npz")
    assert found.features.tolist() == np.delete(ROWS, [3, 7], axis=0).tolist()
    assert found.labels.tolist() == np.delete(LABELS, [3, 7]).tolist()
    assert found.row_ids.tolist() == np.delete(np.arange(60), [3, 7]).tolist()
    assert found.provenance.reading.notes == ("2 rows were left out, 2 all zero: 3, 7.",)


@pytest.mark.parametrize(
    ("far", "others", "said"),
    [(255, 20, True), (999, 4, True), (255, 149, True), (255, 200, False), (256, 20, False)],
)
def test_a_number_that_often_means_ignore_is_a_class_and_is_said(far: int, others: int, said: bool) -> None:
    labels = np.where(np.arange(400) % 8 == 0, far, np.arange(400) % others)
    found = as_embedding_set({"features": np.ones((400, 2)), "labels": labels})
    notes = [note for note in found.provenance.reading.notes if "taken as a class" in note]
    assert notes == ([f"50 rows are labelled {far}: taken as a class (--unlabelled {far} says no)."] if said else [])


@pytest.mark.parametrize(
    ("classes", "left_out"), [([0, 1, 7], True), ([0, 253], True), ([0], False), ([0, 254], False)]
)
def test_255_in_bytes_is_ignore_beyond_a_gap_and_a_class_in_a_mask_of_two(classes: list[int], left_out: bool) -> None:
    labels = np.array([*classes, 255], dtype=np.uint8)[np.arange(60) % (len(classes) + 1)]
    found = as_embedding_set(ROWS, labels=labels)
    assert int((found.labels == -1).sum()) == (60 // (len(classes) + 1) if left_out else 0)
    assert any("unlabelled (255)" in note for note in found.provenance.reading.notes) == left_out
    for told in ("none", "-1"):
        assert int(as_embedding_set(ROWS, labels=labels, unlabelled=told).labels.max()) == 255


def test_minus_100_is_unlabelled_as_losses_have_it() -> None:
    labels = np.where(np.arange(60) % 6 == 0, -100, np.arange(60) % 4)
    found = as_embedding_set(ROWS, labels=labels)
    assert int((found.labels == -1).sum()) == 10
    assert "10 of 60 rows are unlabelled (-100)" in found.provenance.reading.notes[0]


def test_minus_1_is_a_class_among_other_negative_labels() -> None:
    labels = np.arange(60) % 7 - 3
    found = as_embedding_set(ROWS, labels=labels)
    assert found.class_names == ("-3", "-2", "-1", "0", "1", "2", "3")
    assert "beside -1, which is a class as well" in found.provenance.reading.notes[0]
    assert int((as_embedding_set(ROWS, labels=labels, unlabelled="-1").labels == -1).sum()) == 9


def test_vectors_that_may_be_transposed_are_asked_about(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", fea=ROWS.T, gnd=np.arange(60) % 3)
    assert any("transposed" in note for note in as_embedding_set(tmp_path / "a.npz").provenance.reading.notes)
    np.savez(tmp_path / "a.npz", fea=ROWS, gnd=np.arange(60) % 3)
    assert not any("transposed" in note for note in as_embedding_set(tmp_path / "a.npz").provenance.reading.notes)


@pytest.mark.parametrize("kind", ["npy", "npz", "pt"])
def test_a_label_saved_as_one_more_dimension_is_said(tmp_path: Path, kind: str) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 8))
    both = np.c_[rows, np.arange(60) % 3]
    for name, values in (("both", both), ("rows", rows), ("dead", np.c_[rows, np.zeros(60)])):
        path = tmp_path / f"{name}.{kind}"
        if kind == "npy":
            np.save(path, values)
        elif kind == "npz":
            np.savez(path, features=values)
        else:
            torch.save(torch.from_numpy(values), path)
        notes = " ".join(as_embedding_set(path).provenance.reading.notes)
        assert ("dimension 8 holds whole numbers only, 3 different ones" in notes) == (name == "both")
