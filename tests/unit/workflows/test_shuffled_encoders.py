"""Two encoders whose files lie in other orders: joined by the names of their rows, equal to the bit; else refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repdiag.core.errors import RepdiagError
from repdiag.workflows.vectors import evaluate_vectors

DRAW = np.random.default_rng(0)
LABELS = np.arange(120) % 4
FIRST = (DRAW.normal(size=(4, 8))[LABELS] + DRAW.normal(size=(120, 8))).astype(np.float32)
SECOND = np.tanh(FIRST @ DRAW.normal(size=(8, 6)).astype(np.float32))
IDS = np.array([f"photos/img_{number:03d}.jpg" for number in range(120)])
METRICS = ["ami", "granularity", "r_precision", "precision_at_1", "uniformity", "rankme", "linear_cka", "mutual_knn"]


def stored(folder: Path, name: str, rows: np.ndarray, order: np.ndarray) -> Path:
    file = folder / f"{name}.parquet"
    pd.DataFrame({"id": IDS[order], "embedding": list(rows[order]), "label": LABELS[order]}).to_parquet(file)
    return file


def test_shuffled_rows_with_names_give_the_same_values_to_the_bit(tmp_path: Path) -> None:
    found = []
    for seed in (None, 1, 2):
        orders = [np.arange(120) if seed is None else np.random.default_rng([seed, n]).permutation(120) for n in (0, 1)]
        folder = tmp_path / str(seed)
        folder.mkdir()
        files = [stored(folder, "one", FIRST, orders[0]), stored(folder, "two", SECOND, orders[1])]
        table, _ = evaluate_vectors(files[0], other=files[1], metrics=METRICS)
        found.append([(row.metric, row.value, row.ci_low, row.ci_high) for row in table])
    assert all(value is not None for _, value, *_ in found[0])
    assert found[0] == found[1] == found[2]


def test_without_names_labels_that_contradict_are_refused(tmp_path: Path) -> None:
    order = DRAW.permutation(120)
    np.savez(tmp_path / "one.npz", features=FIRST, labels=LABELS)
    np.savez(tmp_path / "two.npz", features=SECOND[order], labels=LABELS[order])
    with pytest.raises(RepdiagError, match=r"contradict each other[\s\S]*of 120 rows, the first: \d"):
        evaluate_vectors(tmp_path / "one.npz", other=tmp_path / "two.npz", metrics=["linear_cka"])
