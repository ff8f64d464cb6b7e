"""Metrics of the representation while it is being trained, computed by a function that is handed in.

The encoder is read from the checkpoint just written, so that training sees nothing of it: no random numbers, no
batch statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repdiag.checkpoints.encoder import Encoder
from repdiag.checkpoints.load import load_encoder
from repdiag.config.training import TrainSettings
from repdiag.core.csv_text import csv_text
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_text
from repdiag.core.metric_table import MetricTable
from repdiag.core.own_code import is_own_code
from repdiag.data.image_split import ImageSplit, equal_galleries
from repdiag.embeddings.extract import extract
from repdiag.training.opened import open_split

Measure = Callable[[EmbeddingSet, EmbeddingSet], MetricTable]
"""From the embeddings of val and train rows, equally many of each class, to metrics."""
PER_CLASS = 50


class _StopRequestedError(Exception):
    """Raised from within an extraction when the run is asked to stop."""


@dataclass(frozen=True)
class Monitor:
    """Evaluates the last checkpoint on rows of val and train with `measure` every so many epochs.

    One file an epoch in `monitor/`, so that an interrupted run knows which epochs are still to be measured.
    """

    folder: Path
    splits: tuple[ImageSplit, ImageSplit]
    measure: Measure
    every_epochs: int
    device: str = "cpu"
    own_code: str | None = None
    """The backbone's `file.py:function`, which a checkpoint alone may not run."""

    def is_due(self, epoch: int) -> bool:
        """Say whether the epoch, counted in epochs done, is to be measured and has not been."""
        return epoch % self.every_epochs == 0 and not self._file(epoch).exists()

    def run(self, checkpoint: Path, *, epoch: int, stop: Callable[[], bool]) -> None:
        """Measure the checkpoint; leave without a result when `stop` becomes true."""
        encoder: Encoder = load_encoder(checkpoint, backbone=self.own_code, device=self.device)

        def look_up(done: int, total: int) -> None:
            del done, total
            if stop():
                raise _StopRequestedError

        try:
            val, train = (extract(encoder, split, device=self.device, progress=look_up) for split in self.splits)
            table = self.measure(val, train)
        except _StopRequestedError:
            return
        write_text(self._file(epoch), csv_text(table.to_frame()))

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch_{epoch:04d}.csv"


def make_monitor(settings: TrainSettings, folder: Path, *, measure: Measure, device: str) -> Monitor:
    """Return the monitor of a run on the same fixed rows of val and train whenever it looks."""
    splits = [open_split(settings, name) for name in ("val", "train")]
    val, train = equal_galleries(*splits, per_class=PER_CLASS, seed=settings.loop.seed)
    name = settings.backbone.name
    own_code = name if is_own_code(name) else None
    return Monitor(folder, (val, train), measure, settings.loop.monitor_every_epochs, device, own_code)
