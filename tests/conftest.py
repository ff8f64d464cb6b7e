"""The order of the tests, and what is skipped where there is no GPU."""

from __future__ import annotations

import pytest
import torch


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with long tests before all others, so that no process is left alone with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow") or "end_to_end" in item.path.parts}
    items.sort(key=lambda item: item.path not in long)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
