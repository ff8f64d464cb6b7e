"""No value of a golden set may lie there unread."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from golden_sets import CLAIMED, SETS, golden_set


@pytest.mark.parametrize("name", SETS)
def test_every_value_is_compared(name: str) -> None:
    for path in sorted(Path(__file__).parent.glob("test_golden_*.py")):
        importlib.import_module(path.stem)
    left = [key for key in golden_set(name).values if key != "_meta" and not key.startswith(tuple(CLAIMED))]
    assert left == []
