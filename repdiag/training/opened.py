"""The splits of a training's dataset, each opened once: settings, loop and monitor look at the same images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from repdiag.config.training import TrainSettings
from repdiag.data.datasets import open_dataset
from repdiag.data.image_split import ImageSplit

Key = tuple[str, str | None, str]
_OPENED: ContextVar[dict[Key, ImageSplit] | None] = ContextVar("repdiag_training_opened", default=None)


@contextmanager
def opened_once() -> Iterator[None]:
    """Within the block a split that was opened is not opened again; afterwards nothing is remembered."""
    token = _OPENED.set({})
    try:
        yield
    finally:
        _OPENED.reset(token)


def open_split(settings: TrainSettings, name: str, *, strict: bool = False, check_content: bool = False) -> ImageSplit:
    """Return a split of the dataset that the settings name; `strict` fails on the first corrupt image."""
    data, known = settings.data, _OPENED.get()
    key = (data.dataset, data.root, name)
    if known is not None and key in known and not (strict or check_content):
        return known[key]
    root = Path(data.root) if data.root else None
    reading = {"strict": strict, "check_content": check_content}
    split = open_dataset(data.dataset, name, root=root, download=data.download, **reading)
    if known is not None:
        known[key] = split
    return split
