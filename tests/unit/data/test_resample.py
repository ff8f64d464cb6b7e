"""Batched crop + resize + flip against torchvision, image by image."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference
from torchvision.transforms.v2 import functional as reference_uint8

from repdiag.data.resample import resize_and_centre, resize_crops, resize_one, resize_whole

MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
BOXES = np.array([[0, 0, 40, 56], [3, 7, 20, 31], [39, 55, 1, 1], [10, 0, 30, 13], [5, 5, 24, 24], [0, 2, 7, 50]])


def images(count: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(5)).byte()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [1, 16, 24, 70])
def test_each_sample_equals_torchvisions_resized_crop(mode: str, size: int) -> None:
    batch = images(len(BOXES), 40, 56).float() / 255
    flip = np.array([False, True, False, True, False, True])
    found = resize_crops(batch, BOXES, size=size, flip=flip, interpolation=mode)
    for row, (top, left, height, width) in enumerate(BOXES.tolist()):
        wanted = reference.resized_crop(
            batch[row], top, left, height, width, [size, size], interpolation=MODES[mode], antialias=True
        )
        wanted = reference.hflip(wanted) if flip[row] else wanted
        torch.testing.assert_close(found[row], wanted, atol=2e-6, rtol=0)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_one_uint8_image_equals_torchvisions_and_the_batch_up_to_rounding(mode: str) -> None:
    batch = images(len(BOXES), 40, 56) // 2 + 64  # no overshoot, which whole levels cut off after either axis
    together = resize_crops(
        batch.float() / 255, BOXES, size=24, flip=np.zeros(len(BOXES), bool), interpolation=mode
    ).clamp(0, 1)
    for row, box in enumerate(BOXES):
        found = resize_one(batch[row], box, size=24, interpolation=mode)
        wanted = reference_uint8.resized_crop(
            batch[row], *box.tolist(), size=[24, 24], interpolation=MODES[mode], antialias=True
        )
        assert torch.equal(found, wanted)
        # Two roundings to whole levels, one after each axis.
        assert (found / 255 - together[row]).abs().max() <= 1.01 / 255


@pytest.mark.parametrize(("height", "width"), [(40, 56), (56, 40), (33, 33), (25, 91), (375, 500), (81, 400)])
def test_resize_and_centre_is_torchvisions_pair(height: int, width: int) -> None:
    image = images(1, height, width)[0]
    found = resize_and_centre(image, resize=32, size=28, interpolation="bilinear")
    resized = reference_uint8.resize(image, [32], antialias=True)
    assert torch.equal(found, reference_uint8.center_crop(resized, [28, 28]))
    with_pillow = reference.center_crop(reference.resize(reference.to_pil_image(image), [32]), [28, 28])
    difference = found.int() - reference.pil_to_tensor(with_pillow).int()
    assert difference.abs().max() <= 1


def test_an_image_of_the_size_stays_as_it_is() -> None:
    batch = images(2, 20, 20)
    assert resize_whole(batch, (20, 20), "bicubic") is batch
    assert torch.equal(resize_and_centre(batch, resize=20, size=20, interpolation="bicubic"), batch)


def test_a_constant_image_stays_constant() -> None:
    batch = torch.full((len(BOXES), 3, 40, 56), 0.6)
    for mode in ("bilinear", "bicubic"):
        found = resize_crops(batch, BOXES, size=17, flip=np.zeros(len(BOXES), bool), interpolation=mode)
        torch.testing.assert_close(found, torch.full_like(found, 0.6), atol=1e-6, rtol=0)
