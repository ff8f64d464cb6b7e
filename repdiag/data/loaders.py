"""`TrainLoader`: batches of augmented views in an order that is a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from repdiag.config.views import Interval, ViewSettings
from repdiag.core.errors import ConfigError, DataError
from repdiag.data.assembly import PACK_UP_TO
from repdiag.data.counter_rng import permutation
from repdiag.data.image_split import ImageSplit
from repdiag.data.views import Frames, SeededViews
from repdiag.data.workers import over_workers


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's data: the row numbers [B] and one tensor [B, 3, S, S] in [0, 1] for each view."""

    index: Tensor
    views: tuple[Tensor, ...]


class TrainLoader:
    """Batches of any number of views; an incomplete last batch is dropped.

    Order and pixels depend on the seed, the epoch and the row ids, never on `workers`. Of `world` processes, each
    with `batch_size` rows a step, process `rank` sees its part of the batch that one process alone would see.
    """

    def __init__(
        self,
        split: ImageSplit,
        views: tuple[ViewSettings, ...],
        *,
        image_size: int,
        batch_size: int,
        seed: int,
        workers: int = 0,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
        iou: Interval | None = None,
    ) -> None:
        if not 0 <= rank < world:
            raise ConfigError("rank must be one of 0 .. world - 1", found=f"rank {rank}, world {world}")
        self.split, self.batch_size, self.seed, self.workers = split, batch_size, seed, workers
        self.device, self.rank, self.world = torch.device(device), rank, world
        self.views = SeededViews(settings=views, image_size=image_size, purpose="train", seed=seed, iou=iou)
        if len(self) == 0:
            raise DataError(
                f"{split.name} has too few images for one batch",
                found=f"{len(split)} images, batch size {batch_size} on each of {world} processes",
                hint="choose a smaller batch size",
            )

    def __len__(self) -> int:
        """Return the steps in an epoch."""
        return len(self.split) // (self.batch_size * self.world)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return this process's rows of an epoch, one batch a line: [steps, batch_size]."""
        everyone = permutation(len(self.split), purpose="order", seed=self.seed, number=epoch)
        steps = everyone[: len(self) * self.batch_size * self.world]
        return steps.reshape(len(self), self.world, self.batch_size)[:, self.rank]

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from batch `start` on; the same ones however often it is asked."""
        steps = _Steps(self.split, self.views, self.order(epoch)[start:], epoch)
        on_gpu = self.device.type == "cuda"
        # Small images in memory cost less to index than to send between processes, but a GPU would wait for the draws.
        small = self.split.native_size is not None and self.split.native_size <= PACK_UP_TO
        workers = 0 if small and not on_gpu else self.workers
        made = over_workers(steps, workers=workers, pin_memory=on_gpu)
        for rows, frames in zip(steps.rows, made, strict=True):
            yield Batch(torch.from_numpy(rows.copy()), frames.finish(self.device))


class _Steps(Dataset[Frames]):
    """One batch of an epoch an item, so that worker processes need no more than its number."""

    def __init__(self, split: ImageSplit, views: SeededViews, rows: NDArray[np.int64], epoch: int) -> None:
        self.split, self.views, self.rows, self.epoch = split, views, rows, epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> Frames:
        return self.views.frame(self.split, self.rows[item], number=self.epoch)
