"""Images of other than three channels in views, packs and statistics: each channel as an RGB image's own."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from repdiag.config.views import EvaluationSettings, ViewSettings
from repdiag.data.augmentations import augment, draw_parameters
from repdiag.data.channels import channel_statistics
from repdiag.data.counter_rng import CounterStream, row_keys
from repdiag.data.image_split import ImageSplit
from repdiag.data.many_channels import with_statistics
from repdiag.data.packed import pack
from repdiag.data.views import EvaluationViews


class Stack:
    """Images in memory, one by one."""

    native_size = None

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def image(self, position: int) -> Tensor:
        return self.images[position]

    def stack(self, positions: np.ndarray) -> Tensor:
        return self.images[torch.from_numpy(positions)]


def split_of(images: Tensor) -> ImageSplit:
    count = len(images)
    return ImageSplit(
        name="stack",
        split="val",
        source=Stack(images),
        positions=np.arange(count),
        labels=np.arange(count) % 2,
        row_ids=np.array([f"row{number}" for number in range(count)]),
        class_names=("a", "b"),
        content=np.array([hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images]),
        preset="moco_v2",
        channels=images.shape[1],
    )


@pytest.fixture
def rgb() -> Tensor:
    return torch.randint(0, 256, (6, 3, 30, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def six_of(rgb: Tensor) -> Tensor:
    """Six channels: red, green and blue twice, as floats in [0, 1]."""
    return (rgb.float() / 255.0).repeat(1, 2, 1, 1)


def test_originals_and_crops_of_each_channel_are_those_of_rgb(rgb: Tensor) -> None:
    settings = EvaluationSettings(preset="moco_v2", views=0)
    views = EvaluationViews(settings, 16, resize=20)
    plain, many = split_of(rgb), split_of(six_of(rgb))
    wanted = views.originals(plain, range(6))
    found = views.originals(many, range(6))
    assert found.shape == (6, 6, 16, 16)
    assert (found[:, :3] - wanted).abs().max() <= 1.01 / 255.0  # RGB is rounded to whole levels on its way
    assert torch.equal(found[:, :3], found[:, 3:])


def test_views_are_drawn_alike_and_leave_out_what_is_of_colours(rgb: Tensor) -> None:
    keys = row_keys([f"row{number}" for number in range(6)])
    sizes = np.tile([[30, 40]], (6, 1))

    def view(images: Tensor, **settings: object) -> Tensor:
        stream = CounterStream.keyed(keys, purpose="test", seed=0)
        drawn = draw_parameters(ViewSettings(**settings), stream, image_sizes=sizes, size=16)
        return augment(images, drawn)

    many = six_of(rgb)
    framed = {"crop_scale": (0.3, 1.0), "flip_p": 0.5, "blur_p": 0.5, "solarize_p": 0.5, "brightness": 0.4}
    wanted = view(rgb, **framed)
    found = view(many, **framed)
    assert (found[:, :3] - wanted).abs().max() < 1e-5
    colours = {"saturation": 0.9, "hue": 0.4, "gray_p": 1.0}
    assert torch.equal(view(many, **framed, **colours), found)
    assert not torch.allclose(view(rgb, **framed, **colours), wanted)
    before = many.clone()
    view(many, brightness=0.9)
    assert torch.equal(many, before)  # images that need no crop are not changed in place


def test_contrast_is_about_the_mean_of_all_channels() -> None:
    images = torch.rand(1, 5, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
    keys = row_keys(["row"])
    settings = ViewSettings(contrast=0.5)
    stream = CounterStream.keyed(keys, purpose="test", seed=3)
    drawn = draw_parameters(settings, stream, image_sizes=np.array([[8, 8]]), size=8)
    factor = float(drawn.factors[0, 1])
    wanted = images * factor + (1 - factor) * images.mean()
    assert (augment(images, drawn) - wanted).abs().max() < 1e-6


def test_hidden_pixels_take_each_images_own_mean() -> None:
    images = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    stream = CounterStream.keyed(row_keys(["a", "b"]), purpose="test", seed=0)
    settings = ViewSettings(patch_sizes=(4,), patch_p=0.5)
    drawn = draw_parameters(settings, stream, image_sizes=np.array([[8, 8]] * 2), size=8)
    assert drawn.hidden is not None
    found = augment(images, drawn)
    for row in range(2):
        hidden = torch.from_numpy(drawn.hidden[row])
        assert 0 < int(hidden.sum()) < 64
        assert torch.allclose(found[row][:, hidden], images[row].mean(dim=(1, 2))[:, None].expand(4, int(hidden.sum())))
        assert torch.equal(found[row][:, ~hidden], images[row][:, ~hidden])


def test_statistics_are_the_mean_and_deviation_of_all_pixels() -> None:
    images = torch.rand(7, 5, 6, 9, generator=torch.Generator().manual_seed(3))
    found = channel_statistics(lambda row: images[row], range(7))
    assert np.allclose(found.mean, images.double().mean(dim=(0, 2, 3)).numpy())
    assert np.allclose(found.std, images.double().std(dim=(0, 2, 3), correction=0).numpy())
    opened = with_statistics(split_of(images))
    assert opened.statistics is not None
    assert opened.statistics.images == 7
    assert "saturation, hue and grayscale" in str(opened.notes[-1])


@pytest.mark.usefixtures("tmp_path")
def test_a_pack_keeps_all_channels(rgb: Tensor, tmp_path: Path) -> None:
    many = six_of(rgb[..., :30])
    found = pack(split_of(many), 30)
    assert torch.equal(found.images(range(6)), many)
