"""What people hand in: every metric answers with a value, a reason or a named error, never with NaN or another kind."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from registered import METRICS, SETTINGS, arguments, sample

from repdiag.core.errors import MetricError

NAMES = sorted(METRICS)
LABELLED = [name for name in NAMES if "labels" in METRICS[name].takes]


def changed(name: str, *, rows=None, labels=None):
    """Call a metric with its arrays or its labels in another form."""
    given = arguments(METRICS[name], sample())
    for key, value in given.items():
        change = labels if key.endswith("labels") else rows
        given[key] = value if change is None else change(value)
    return METRICS[name].function(**given, **SETTINGS.get(name, {}))


SAME = {
    "lists": {"rows": torch.Tensor.tolist, "labels": torch.Tensor.tolist},
    "big-endian": {
        "rows": lambda rows: rows.numpy().astype(">f8"),
        "labels": lambda labels: labels.numpy().astype(">i4"),
    },
    "frames": {
        "rows": lambda rows: pd.DataFrame(rows.numpy()) if rows.ndim == 2 else rows,
        "labels": lambda labels: pd.Series(labels.numpy()),
    },
    "objects": {
        "rows": lambda rows: rows.numpy().astype(object),
        "labels": lambda labels: labels.numpy().astype(object),
    },
    "not contiguous": {"rows": lambda rows: rows.transpose(-1, -2).contiguous().transpose(-1, -2)},
    "text labels": {"labels": lambda labels: [f"class {int(label)}" for label in labels]},
    "small labels": {"labels": lambda labels: labels.to(torch.uint8)},
}


@pytest.mark.parametrize("kind", SAME)
def test_the_form_of_the_input_does_not_matter(kind: str) -> None:
    for name in NAMES:
        assert float(changed(name, **SAME[kind])) == pytest.approx(float(changed(name)), rel=1e-12), name


@pytest.mark.parametrize("factor", [1e150, 1e200, 1e-200, 1e-310])
def test_values_whose_squares_leave_double_precision_are_refused(factor: float) -> None:
    for name in NAMES:
        with pytest.raises(MetricError, match=r"scale of \w+ is out of range"):
            changed(name, rows=lambda rows: rows * factor)


@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_values_far_from_one_still_count(factor: float) -> None:
    for name in NAMES:
        if "scale" in METRICS[name].invariances:
            found = float(changed(name, rows=lambda rows: rows * factor))
            assert found == pytest.approx(float(changed(name)), rel=1e-6), name


REFUSED_ROWS = {
    "text": (lambda rows: rows.numpy().astype(str), "must be numbers"),
    "complex": (lambda rows: rows.to(torch.complex128), "must be real numbers"),
    "no numbers at all": (lambda rows: rows.to("meta"), "must hold numbers"),
    "overflow in half precision": (lambda rows: (rows * 1e6).half(), "NaN or infinite values in"),
    "masked": (lambda rows: np.ma.masked_greater(rows.numpy(), 1.0), "masked values"),
    "no dimension": (lambda rows: rows[..., :0], "is empty"),
    "one axis too few": (lambda rows: rows[..., 0], "axes"),
    "sparse": (torch.Tensor.to_sparse, "dense"),
}
REFUSED_LABELS = {
    "too few": (lambda labels: labels[:-1], "differ in length"),
    "fractions": (lambda labels: labels + 0.5, "must be integers"),
    "a column": (lambda labels: labels[:, None], "axes"),
    "missing": (lambda labels: None, "missing"),
    "with holes": (lambda labels: [None, *labels.tolist()[1:]], "one kind"),
    "not a number": (
        lambda labels: [*labels.tolist()[1:], float("nan")],
        r"labels are missing[\s\S]*NaN in 1 rows: \d+",
    ),
    "infinite": (lambda labels: [*labels.tolist()[1:], float("inf")], "must be integers"),
    "complex": (lambda labels: labels.to(torch.complex64), "must be integers"),
    "empty text": (
        lambda labels: ["", *map(str, labels.tolist()[1:])],
        r"labels are missing[\s\S]*empty text in 1 rows: 0",
    ),
}


@pytest.mark.parametrize("kind", REFUSED_ROWS)
def test_rows_that_cannot_be_meant_are_refused_by_name(kind: str) -> None:
    change, message = REFUSED_ROWS[kind]
    for name in NAMES:
        with pytest.raises(MetricError, match=message):
            changed(name, rows=change)


@pytest.mark.parametrize("kind", REFUSED_LABELS)
def test_labels_that_cannot_be_meant_are_refused_by_name(kind: str) -> None:
    change, message = REFUSED_LABELS[kind]
    for name in LABELLED:
        if kind == "missing" and "labels" not in METRICS[name].needs:
            continue  # they only serve the interval
        with pytest.raises(MetricError, match=message):
            changed(name, labels=change)


@pytest.mark.parametrize("dims", [1, 2])
def test_one_or_two_dimensions_give_a_value_or_a_reason(dims: int) -> None:
    for name in NAMES:
        value = changed(name, rows=lambda rows: rows[..., :dims])
        assert value.reason if value.value is None else math.isfinite(value.value)


def test_classes_of_one_row_are_left_out_of_what_needs_pairs() -> None:
    """Nothing that compares rows of one class may read 0, as if these classes had collapsed."""
    rows = sample()["features"]
    for name in ("cdnv", "nc1", "davies_bouldin", "fowlkes_mallows", "intra_class_distance", "tolerance", "silhouette"):
        assert METRICS[name].function(rows, torch.arange(len(rows))).reason, name
    labels = sample()["labels"].clone()
    labels[5] = 99
    for name in ("intra_class_distance", "tolerance", "class_distance_ratio"):
        parts = METRICS[name].function(rows, labels).per_class
        assert bool(parts[:-1].isfinite().all()), name
        assert bool(parts[-1].isnan()), name


def test_whole_numbers_are_the_numbers_they_are() -> None:
    for name in (name for name in NAMES if METRICS[name].family != "clusters"):
        given, real = (
            changed(name, rows=lambda rows, as_real=as_real: (rows * 9.0).to(torch.int8).to(as_real))
            for as_real in (torch.int8, torch.float32)
        )
        assert (given.value, given.reason) == (real.value, real.reason), name


NEED_DIRECTIONS = (
    "alignment",
    "class_distance_ratio",
    "davies_bouldin",
    "hubness",
    "mean_cosine",
    "self_clustering",
    "silhouette",
    "uniformity",
)


@pytest.mark.parametrize("name", NEED_DIRECTIONS)
def test_all_rows_of_zeros_are_counted_wherever_the_first_is_met(name: str) -> None:
    """Rows are read in blocks: the error must speak of all of them, and by their numbers in the whole."""
    rows = torch.randn(6000, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[[10, 3000, 5999]] = 0.0
    given = {"features": rows, "labels": torch.arange(6000) % 3, "views": rows[None]}
    with pytest.raises(MetricError, match="3 such rows: 10, 3000, 5999"):
        METRICS[name].function(**{key: given[key] for key in METRICS[name].takes})
