"""The order of the tests, what is skipped where there is no GPU, and Triton's kernels without one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

_LEVEL = logging.getLogger().level


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with long tests before all others, so that no process is left alone with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow") or "end_to_end" in item.path.parts}
    items.sort(key=lambda item: item.path not in long)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def logging_put_back() -> Iterator[None]:
    """Undo what a command did to the root logger: after `--quiet` no later test would see a warning.

    The level is that of the start: fixtures of whole modules run commands before this one can look.
    """
    root = logging.getLogger()
    handlers = list(root.handlers)
    root.setLevel(_LEVEL)
    yield
    root.setLevel(_LEVEL)
    root.handlers[:] = handlers


@pytest.fixture
def interpreted() -> Callable[[str], Any]:
    """Give what runs a script with Triton's kernels interpreted on the CPU and returns the JSON that it prints.

    In a process of its own: Triton decides at its import whether kernels are interpreted.
    """
    pytest.importorskip("triton")

    def run(script: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            env=os.environ | {"TRITON_INTERPRET": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
