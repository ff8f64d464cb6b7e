"""A training opens each split of its dataset once, whoever looks at it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from repdiag.training import monitor, opened
from repdiag.training.assembly import resolve_settings
from repdiag.workflows.train import train


def test_settings_loop_and_monitor_share_what_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    plain = opened.open_dataset

    def counted(spec: str, split: str, **options: Any) -> Any:
        seen[split] += 1
        return plain(spec, split, **options)

    monkeypatch.setattr(opened, "open_dataset", counted)
    monkeypatch.setattr(monitor, "PER_CLASS", 4)  # so few rows are measured in a moment
    small = ["method.queue_size=32", "loop.log_every=1"]
    train(out=tmp_path / "run", epochs=1, limit=64, batch_size=32, monitor=1, settings=small)
    assert seen == {"train": 1, "val": 1}
    settings = resolve_settings(None, epochs=1)
    before = seen["train"]
    opened.open_split(settings, "train")
    assert seen["train"] == before + 1  # nothing is remembered when the training is over
