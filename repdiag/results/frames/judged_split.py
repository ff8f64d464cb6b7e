"""The split that is judged of each checkpoint: the one that it was not trained on."""

from __future__ import annotations

from repdiag.core.metric_table import MetricTable

TRAIN, VAL = "train", "val"


def judged_splits(table: MetricTable) -> dict[str, str]:
    """Return the judged split of every checkpoint of a table: val; where there is none, the first beside train.

    Vectors come from a split of any name, or of none.

    Example:
        >>> from repdiag.core.metric_table import MetricRow
        >>> where = {"checkpoint": "bert", "dataset": "a.npy", "space": "features", "metric": "rankme", "version": 1}
        >>> judged_splits(MetricTable((MetricRow(**where, split="test", params={}, value=9.0, n=50),)))
        {'bert': 'test'}
    """
    splits: dict[str, list[str]] = {}
    for row in table:
        splits.setdefault(row.checkpoint, []).append(row.split)
    return {name: _judged(list(dict.fromkeys(found))) for name, found in splits.items()}


def _judged(splits: list[str]) -> str:
    others = [split for split in splits if split != TRAIN]
    return VAL if VAL in others else next(iter(others), TRAIN)
