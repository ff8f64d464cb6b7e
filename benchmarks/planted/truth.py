"""What is true of a planted encoder: by construction, or measured on all kept rows by plain formulas.

Nothing here calls the package: the numbers judge its verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]
RIDGE = 1e-2
OVER, NOT_OVER, UNDER = "over-clustered", "not over-clustered", "under-clustered"


def measured(arrays: Mapping[str, Rows]) -> dict[str, Any]:
    """Return the measured numbers."""
    val, train = _unit(arrays["features"]), _unit(arrays["train_features"])
    labels, train_labels = arrays["labels"], arrays["train_labels"]
    rows = min(2000, len(val), len(train))
    pairs = [(_first_of_each(labels, rows, seed), _first_of_each(train_labels, rows, seed)) for seed in range(3)]
    return {
        "ridge_probe": ridge_accuracy(arrays["features"].astype(np.float64), labels),
        "precision_at_1": _mean(precision_at_1(val[one], labels[one]) for one, _ in pairs),
        "r_precision": _mean(r_precision(val[one], labels[one]) for one, _ in pairs),
        "label_gap": _mean(
            precision_at_1(train[two], train_labels[two]) - precision_at_1(val[one], labels[one]) for one, two in pairs
        ),
        "pretext_gap": _mean(_identified(arrays, "train_", two) - _identified(arrays, "", one) for one, two in pairs),
        "pretext_gap_500": _mean(
            _identified(arrays, "train_", two[:500]) - _identified(arrays, "", one[:500]) for one, two in pairs
        ),
        "mean_cosine": float(np.square(val.mean(0)).sum()),
        "participation_ratio": _participation(arrays["features"].astype(np.float64)),
        "group_share": group_share(val, labels, arrays["groups"]),
        "rows": len(val),
        "train_rows": len(train),
    }


def ridge_accuracy(features: Rows, labels: Rows) -> float:
    """Return the accuracy of one-against-all ridge regression, learnt on one half and tried on the other, both ways."""
    found = []
    for learn in (0, 1):
        x, z = features[learn::2], features[1 - learn :: 2]
        mean, spread = x.mean(0), x.std(0) + 1e-6
        x, z = (x - mean) / spread, (z - mean) / spread
        onehot = labels[learn::2][:, None] == np.unique(labels)[None]
        gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ (onehot - onehot.mean(0)))
        scores = z @ weights + onehot.mean(0)
        found.append(float((np.unique(labels)[scores.argmax(1)] == labels[1 - learn :: 2]).mean()))
    return float(np.mean(found))


def precision_at_1(unit: Rows, labels: Rows) -> float:
    """Return how often the nearest other row has the row's label."""
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -9.0)
    return float((labels[similarity.argmax(1)] == labels).mean())


def r_precision(unit: Rows, labels: Rows) -> float:
    """Return the share of the row's label among as many nearest rows as there are others of it."""
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -9.0)
    order = np.argsort(-similarity, axis=1)
    counts = (labels[:, None] == labels[None]).sum(1) - 1
    return _mean(float((labels[order[row, :count]] == labels[row]).mean()) for row, count in enumerate(counts) if count)


def group_share(unit: Rows, labels: Rows, groups: Rows) -> float:
    """Return the share of the variance within classes that lies between the painted marks: 0 where none is painted."""
    within = between = 0.0
    for label in np.unique(labels):
        rows = unit[labels == label]
        centre, mark = rows.mean(0), groups[labels == label]
        within += float(np.square(rows - centre).sum())
        for one in np.unique(mark):
            own = rows[mark == one]
            between += len(own) * float(np.square(own.mean(0) - centre).sum())
    return between / within if within and len(np.unique(groups)) > 1 else 0.0


def _identified(arrays: Mapping[str, Rows], split: str, rows: Rows) -> float:
    """Return how often an image's view is nearest to that image among the rows."""
    features = _unit(arrays[f"{split}features"][rows])
    view = _unit(arrays[f"{split}views"][0][rows])
    similarity = view @ features.T
    own = np.diagonal(similarity).copy()
    np.fill_diagonal(similarity, -9.0)
    return float((own > similarity.max(1)).mean())


def _participation(features: Rows) -> float:
    spectrum = np.clip(np.linalg.eigvalsh(np.cov(features.T)), 0.0, None)
    total = float(np.square(spectrum).sum())
    return float(spectrum.sum() ** 2 / total) if total else 0.0


def _unit(features: Rows) -> Rows:
    wide = features.astype(np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)


def _first_of_each(labels: Rows, rows: int, seed: int) -> Rows:
    order = np.random.default_rng(seed).permutation(len(labels))
    per_class = rows // len(np.unique(labels))
    chosen = [order[labels[order] == label][:per_class] for label in np.unique(labels)]
    return np.random.default_rng(seed).permutation(np.concatenate(chosen))


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
