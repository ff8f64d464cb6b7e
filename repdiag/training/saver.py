"""Checkpoints written at once, or beside the steps that follow."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor

from repdiag.training.checkpoint_files import CheckpointFiles


class Saver:
    """Hands payloads to the run's checkpoint files; `beside` lets the run go on while a payload is written.

    A GPU would stand still while a checkpoint is hashed and put on the disk, which takes as long as an epoch of small
    images. The payload is copied first, so that later steps do not change it, and one is written at a time. What a
    write raises is raised by the next call. Leaving the context waits for the last write.
    """

    def __init__(self, files: CheckpointFiles, *, beside: bool) -> None:
        self._files = files
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint") if beside else None
        self._pending: Future[str] | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def save(self, payload: Mapping[str, Any], *, keep_epoch: int | None = None) -> None:
        """Write the payload as the last checkpoint, or begin to."""
        self.wait()
        if self._pool is None:
            self._files.save(payload, keep_epoch=keep_epoch)
        else:
            self._pending = self._pool.submit(self._files.save, _copied(payload), keep_epoch=keep_epoch)

    def wait(self) -> None:
        """Return when everything handed over is on the disk; raise what its write raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


def _copied(value: Any) -> Any:
    """Return the payload with every tensor copied to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value
