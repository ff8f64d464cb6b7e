"""The order of the tests: the long ones begin first, so that no process is left alone with one at the end."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with long tests before all others; the order is otherwise what it was."""
    long = {item.path for item in items if item.get_closest_marker("slow") or "end_to_end" in item.path.parts}
    items.sort(key=lambda item: item.path not in long)
