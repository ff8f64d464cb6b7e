"""`TrainLoader`: batches of augmented views in an order that is a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.config.views import ViewSettings
from repdiag.core.errors import DataError
from repdiag.data.augmentations import augment, draw_parameters
from repdiag.data.counter_rng import CounterStream, permutation
from repdiag.data.image_split import ImageSplit


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's data: the row numbers [B] and one tensor [B, 3, S, S] in [0, 1] for each view."""

    index: Tensor
    views: tuple[Tensor, ...]


class TrainLoader:
    """Batches of any number of views; incomplete last batches are dropped."""

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
    ) -> None:
        self.split, self.views, self.image_size = split, views, image_size
        self.batch_size, self.seed, self.workers = batch_size, seed, workers
        self.device, self.rank, self.world = torch.device(device), rank, world
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
        for rows in self.order(epoch)[start:]:
            yield self._batch(rows, epoch)

    def _batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        images = self.split.images(rows).to(self.device)
        sizes = np.broadcast_to(np.array(images.shape[-2:]), (len(rows), 2))
        views = []
        for number, view in enumerate(self.views):
            stream = CounterStream.keyed(
                self.split.keys[rows], purpose="train", seed=self.seed, number=epoch, view=number
            )
            parameters = draw_parameters(view, stream, image_sizes=sizes, size=self.image_size)
            views.append(augment(images, parameters))
        return Batch(torch.from_numpy(rows), tuple(views))
