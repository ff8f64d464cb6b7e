"""TensorBoard events of a run, on request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repdiag.core.errors import DependencyError


class EventLog:
    """Writes the history's values as scalars into `folder`; does nothing without one."""

    def __init__(self, folder: Path | None = None, *, resume_step: int = 0) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise DependencyError(
                "TensorBoard events need the package tensorboard", hint="pip install 'repdiag[tensorboard]'"
            ) from error
        # Events after the resumed step are hidden, as the history's rows after it are dropped.
        self._writer = SummaryWriter(folder, purge_step=resume_step + 1)

    def add(self, values: Mapping[str, float | int], *, step: int) -> None:
        """Write one row."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush what is left."""
        if self._writer is not None:
            self._writer.close()
