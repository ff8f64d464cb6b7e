"""The training loader: order and pixels from (seed, epoch, row id) alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from repdiag.config.views import view_preset
from repdiag.core.errors import ConfigError, DataError
from repdiag.data.datasets import open_dataset
from repdiag.data.image_folder import open_image_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.loaders import Batch, TrainLoader


def loader(split: ImageSplit, preset: str = "moco_v2_32", **options: object) -> TrainLoader:
    chosen = {"image_size": 16, "batch_size": 4, "seed": 5} | options
    return TrainLoader(split, view_preset(preset), **chosen)


def same(first: Batch, second: Batch, atol: float = 0.0) -> bool:
    pairs = zip(first.views, second.views, strict=True)
    return torch.equal(first.index, second.index) and all(torch.allclose(a, b, atol=atol, rtol=0) for a, b in pairs)


def test_an_epoch_sees_every_row_once_in_an_order_of_its_own() -> None:
    split = open_dataset("digits", "val")
    batches = loader(split, batch_size=36)
    orders = [batches.order(epoch).ravel() for epoch in range(3)]
    for order in orders:
        assert np.sort(order).tolist() == list(range(360))
    assert not np.array_equal(orders[0], orders[1])
    assert len(batches) == 10


def test_the_last_incomplete_batch_is_dropped() -> None:
    split = open_dataset("digits", "val")
    batches = loader(split, batch_size=100)
    assert len(batches) == len(list(batches.batches(0))) == 3


@pytest.mark.parametrize("start", [0, 1, 3])
def test_starting_within_an_epoch_gives_the_very_same_batches(folder: Path, start: int) -> None:
    for split in (open_dataset("digits", "train").subset(range(16)), open_image_folder(folder, "train")):
        whole = list(loader(split).batches(2))
        part = list(loader(split).batches(2, start=start))
        assert len(part) == len(whole) - start
        assert all(same(first, second) for first, second in zip(whole[start:], part, strict=True))


def test_epochs_and_seeds_differ_in_pixels_and_leave_the_global_generator_alone() -> None:
    split = open_dataset("digits", "train").subset(range(4))
    state = torch.get_rng_state()
    first, second = (next(loader(split).batches(epoch)) for epoch in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    back = [batch.views[0][batch.index.argsort()] for batch in (first, second)]
    assert (back[0] - back[1]).abs().mean() > 0.01
    assert (first.views[0] - first.views[1]).abs().mean() > 0.01


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_change_neither_order_nor_pixels(folder: Path) -> None:
    split = open_image_folder(folder, "train")
    alone = list(loader(split, "dino_multi_crop").batches(1))
    helped = list(loader(split, "dino_multi_crop", workers=2).batches(1))
    assert len(alone) == 4
    assert all(same(first, second) for first, second in zip(alone, helped, strict=True))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_three_resumes_within_an_epoch_with_other_worker_counts_see_the_same_images(folder: Path) -> None:
    split = open_image_folder(folder, "train")
    whole = list(loader(split, batch_size=2).batches(1))
    assert len(whole) == 9
    pieces = []
    for start, end, workers in ((0, 1, 2), (1, 4, 0), (4, 6, 1), (6, 9, 2)):
        batches = loader(split, batch_size=2, workers=workers).batches(1, start=start)
        pieces += [next(batches) for _ in range(start, end)]
        del batches  # the run ends in the middle, with batches that its workers have made already
    assert [piece.index.tolist() for piece in pieces] == [batch.index.tolist() for batch in whole]
    assert all(same(first, second) for first, second in zip(whole, pieces, strict=True))


def test_processes_share_the_batch_that_one_alone_would_see() -> None:
    split = open_dataset("digits", "val")
    whole = loader(split, batch_size=90)
    shares = [loader(split, batch_size=30, rank=rank, world=3) for rank in range(3)]
    assert [len(share) for share in shares] == [len(whole)] * 3
    for together, *parts in zip(whole.batches(1), *(share.batches(1) for share in shares), strict=True):
        joined = Batch(
            torch.cat([part.index for part in parts]),
            tuple(torch.cat(views) for views in zip(*(part.views for part in parts), strict=True)),
        )
        assert same(together, joined, atol=1e-5)


def test_multi_crop_views_have_their_own_sizes(folder: Path) -> None:
    batch = next(loader(open_image_folder(folder, "train"), "sslight_swav", image_size=24).batches(0))
    assert [tuple(view.shape) for view in batch.views] == [(4, 3, 24, 24)] * 2 + [(4, 3, 128, 128)] * 6
    assert all(view.dtype == torch.float32 for view in batch.views)


def test_pairs_can_be_kept_to_an_overlap() -> None:
    split = open_dataset("digits", "val")
    batch = next(loader(split, "moco_v2", iou=(0.5, 1.0)).batches(0))
    plain = next(loader(split, "moco_v2").batches(0))
    assert torch.equal(batch.index, plain.index)
    assert not torch.equal(batch.views[1], plain.views[1])


def test_too_few_images_and_wrong_ranks_are_refused() -> None:
    split = open_dataset("digits", "val").subset(range(7))
    with pytest.raises(DataError, match="too few images"):
        loader(split, batch_size=8)
    with pytest.raises(ConfigError, match="rank"):
        loader(split, rank=2, world=2)
