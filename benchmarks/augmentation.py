"""Two MoCo-v2 views per image and core: repdiag against torchvision's transforms on Pillow images, and against kornia.

python -m benchmarks.augmentation            prints images per second and core, and their ratios

All start from decoded images and end at float tensors in [0, 1]; one thread, CPU time, in turns. kornia, which works on
whole batches as repdiag does, takes part where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision import transforms

from benchmarks.photographs import cpu_seconds, photographs
from benchmarks.stacked_images import split_of
from repdiag.config.views import view_preset
from repdiag.data.views import SeededViews

BATCH = 32


class PillowBlur:
    """The blur of MoCo-v2's own code."""

    def __call__(self, image: Image.Image) -> Image.Image:
        """Blur with a radius drawn from (.1, 2)."""
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))


def peer(size: int, *, blur: bool) -> transforms.Compose:
    """Return MoCo-v2's augmentation as its authors compose it, without normalisation."""
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.2, 1.0)),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            *([transforms.RandomApply([PillowBlur()], p=0.5)] if blur else []),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )


def by_kornia(pixels: list[torch.Tensor], size: int, *, blur: bool) -> Callable[[], object]:
    """Return what makes two views of all images at once by kornia's batched augmentations, a draw for each image."""
    from kornia import augmentation as kornia

    batch = torch.stack(pixels)
    augment = torch.nn.Sequential(
        kornia.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
        kornia.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        kornia.RandomGrayscale(p=0.2),
        *([kornia.RandomGaussianBlur((23, 23), (0.1, 2.0), p=0.5)] if blur else []),
        kornia.RandomHorizontalFlip(),
    )
    return lambda: [augment(batch.float() / 255.0) for _ in range(2)]


def compare(images: list[Image.Image], *, size: int, preset: str, stacked: bool, rounds: int) -> dict[str, float]:
    """Return images per second and core of each contender."""
    pixels = [torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images]
    # Images of one size are kept as one stack, others are decoded one by one.
    split, rows = split_of(torch.stack(pixels).contiguous(), preset=preset, stacked=stacked), np.arange(len(images))
    views = SeededViews(settings=view_preset(preset), image_size=size, purpose="benchmark", seed=0)
    augment = peer(size, blur=preset == "moco_v2")
    epoch = iter(range(10_000))

    def ours() -> object:
        number = next(epoch)
        frames = (
            views.frame(split, rows, number=number)
            if stacked
            else views.frame_images(pixels, split, rows, number=number)
        )
        return frames.finish(torch.device("cpu"))

    contenders: dict[str, Callable[[], object]] = {
        "torchvision": lambda: [torch.stack([augment(image) for image in images]) for _ in range(2)],
        "repdiag": ours,
    }
    if importlib.util.find_spec("kornia"):
        contenders["kornia"] = by_kornia(pixels, size, blur=preset == "moco_v2")
    seconds = cpu_seconds(contenders, rounds=rounds)
    return {name: len(images) / taken for name, taken in seconds.items()}


def main() -> None:
    """Measure both image sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    large = photographs(BATCH)
    small = [image.resize((32, 32)) for image in photographs(8 * BATCH)]
    for name, images, size, preset, stacked in (
        ("224 px from 500 x 375", large, 224, "moco_v2", False),
        ("32 px from 32 x 32", small, 32, "moco_v2_32", True),
    ):
        rates = compare(images, size=size, preset=preset, stacked=stacked, rounds=rounds)
        ours = rates.pop("repdiag")
        print(f"{name}: repdiag {ours:.0f} images/s/core")
        for peer_name, theirs in rates.items():
            print(f"    {peer_name} {theirs:.0f} images/s/core, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
