"""Metrics of the representation while it is being trained, computed by a function that is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repdiag.checkpoints.encoder import Encoder
from repdiag.checkpoints.load import load_encoder
from repdiag.config.training import TrainSettings
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_text
from repdiag.core.metric_table import MetricTable
from repdiag.data.datasets import open_dataset
from repdiag.data.image_split import ImageSplit
from repdiag.embeddings.extract import extract

Measure = Callable[[EmbeddingSet], MetricTable]


class _StopRequestedError(Exception):
    """Raised from within an extraction when the run is asked to stop."""


@dataclass(frozen=True)
class Monitor:
    """Evaluates the last checkpoint on `split` with `measure` every so many epochs.

    One file an epoch in `monitor/`, so that an interrupted run knows which epochs are still to be measured.
    """

    folder: Path
    split: ImageSplit
    measure: Measure
    every_epochs: int
    device: str = "cpu"

    def is_due(self, epoch: int) -> bool:
        """Say whether the epoch, counted in epochs done, is to be measured and has not been."""
        return epoch % self.every_epochs == 0 and not self._file(epoch).exists()

    def run(self, checkpoint: Path, *, epoch: int, stop: Callable[[], bool]) -> None:
        """Measure the checkpoint; leave without a result when `stop` becomes true."""
        encoder: Encoder = load_encoder(checkpoint, device=self.device)

        def look_up(done: int, total: int) -> None:
            del done, total
            if stop():
                raise _StopRequestedError

        try:
            embeddings = extract(encoder, self.split, device=self.device, progress=look_up)
            table = self.measure(embeddings)
        except _StopRequestedError:
            return
        write_text(self._file(epoch), table.to_frame().to_csv(index=False))

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch_{epoch:04d}.csv"


def make_monitor(settings: TrainSettings, folder: Path, *, measure: Measure, device: str) -> Monitor:
    """Return the monitor of a run on the val split of its data."""
    data = settings.data
    split = open_dataset(data.dataset, "val", root=Path(data.root) if data.root else None, download=data.download)
    return Monitor(folder, split, measure, settings.loop.monitor_every_epochs, device)
