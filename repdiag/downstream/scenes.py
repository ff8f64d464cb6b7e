"""`Scenes`: images with boxes and masks; composed ones need no download: cut-outs placed on backgrounds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from repdiag.core.errors import DataError

STAMPS = Path("/usr/share/tuxpaint/stamps")
_STAMP_CLASSES = ("animals", "food", "plants", "town", "vehicles", "household")
_TRAIN_SHARE = 0.7
_COLOURS = 150  # distinct colours from which a stamp counts as a photograph


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Images (uint8 [3, H, W]) and their objects: boxes [G, 4] as x0, y0, x1, y1, labels [G] from 1, masks [G, H, W],
    crowd [G]."""

    name: str
    images: Sequence[Tensor]
    objects: Sequence[Mapping[str, Tensor]]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


CutOuts = Mapping[str, Sequence[Image.Image]]


def composed_scenes(
    *, train: int, test: int, size: int, seed: int, stamps: Path | None = None
) -> tuple[Scenes, Scenes, str]:
    """Return train and test scenes of one to four cut-outs each, none of them in both, and what they are made of.

    Cut-outs are tuxpaint's photographs where they are installed, else scikit-learn's handwritten digits.
    """
    folder = stamps or STAMPS
    if stamps is not None and not stamps.is_dir():
        raise DataError(f"there is no folder {stamps}", hint="a copy of tuxpaint's stamps/, or leave stamps out")
    if folder.is_dir():
        parts, made = _stamps(folder, seed=seed), "tuxpaint's stamps"
    else:
        parts, made = _digits(), "handwritten digits"
    counts = [sum(map(len, part.values())) for part in parts]
    scenes = [
        _scenes(part, count, size=size, seed=2 * seed + place, name=f"composed of {made}")
        for place, (part, count) in enumerate(zip(parts, (train, test), strict=True))
    ]
    return scenes[0], scenes[1], f"{made}, {counts[0]} cut-outs in train and {counts[1]} others in test"


def _stamps(folder: Path, *, seed: int) -> tuple[CutOuts, CutOuts]:
    """Return the photographs with transparency by class, in two parts."""
    draws = random.Random(seed)
    first: dict[str, list[Image.Image]] = {}
    second: dict[str, list[Image.Image]] = {}
    for name in _STAMP_CLASSES:
        found = [image for path in sorted((folder / name).rglob("*.png")) if (image := _cut_out(path)) is not None]
        if len(found) < 4:
            raise DataError(f"{folder / name} has too few photographs with transparency", found=str(len(found)))
        draws.shuffle(found)
        kept = int(_TRAIN_SHARE * len(found))
        first[name], second[name] = found[:kept], found[kept:]
    return first, second


def _cut_out(path: Path) -> Image.Image | None:
    if "mirror" in path.stem or "flip" in path.stem:
        return None
    with Image.open(path) as opened:
        image = opened.convert("RGBA")
    image.thumbnail((96, 96))
    pixels = np.asarray(image)
    shown = pixels[..., 3] > 127
    if not 0.02 < shown.mean() < 0.97:
        return None
    colours = np.unique((pixels[..., :3][shown] // 8).reshape(-1, 3), axis=0)
    return image if len(colours) > _COLOURS else None


def _digits() -> tuple[CutOuts, CutOuts]:
    """Return the digits of train and of val as white strokes on nothing."""
    from repdiag.data.datasets import open_dataset

    parts = []
    for split in ("train", "val"):
        opened = open_dataset("digits", split)
        found: dict[str, list[Image.Image]] = {name: [] for name in opened.class_names}
        for row in range(len(opened)):
            strokes = Image.fromarray(opened.image(row)[0].numpy()).resize((64, 64), Image.Resampling.BICUBIC)
            image = Image.new("RGBA", strokes.size, (255, 255, 255, 0))
            image.putalpha(strokes)
            found[opened.class_names[int(opened.labels[row])]].append(image)
        parts.append(found)
    return parts[0], parts[1]


def _scenes(cut_outs: CutOuts, count: int, *, size: int, seed: int, name: str) -> Scenes:
    draws, noise = random.Random(seed), np.random.default_rng(seed)
    images, objects = [], []
    for _ in range(count):
        image, found = _scene(cut_outs, size, draws, noise)
        images.append(image)
        objects.append(found)
    return Scenes(name=name, images=images, objects=objects, class_names=tuple(cut_outs))


def _scene(cut_outs: CutOuts, size: int, draws: random.Random, noise: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """Return one scene: cut-outs of 22 to 56 % of the side, at most a fifth of each hidden under later ones."""
    names = list(cut_outs)
    rough = Image.fromarray(noise.integers(60, 200, (6, 6, 3), dtype=np.uint8))
    scene = rough.resize((size, size), Image.Resampling.BICUBIC)
    taken = np.zeros((size, size), dtype=bool)
    masks: list[Any] = []
    labels: list[int] = []
    while not masks:
        for _ in range(draws.randint(1, 4)):
            label = draws.randrange(len(names))
            image = draws.choice(cut_outs[names[label]])
            side = draws.randint(round(0.22 * size), round(0.56 * size)) / max(image.size)
            image = image.resize((max(4, int(image.width * side)), max(4, int(image.height * side))))
            left, top = draws.randint(0, size - image.width), draws.randint(0, size - image.height)
            shown = np.asarray(image)[..., 3] > 127
            here = np.zeros((size, size), dtype=bool)
            here[top : top + image.height, left : left + image.width] = shown
            if not here.any() or taken[here].mean() > 0.2:
                continue
            scene.paste(image, (left, top), image)
            taken |= here
            masks = [mask & ~here for mask in masks] + [here]
            labels.append(label + 1)
    kept = [place for place, mask in enumerate(masks) if mask.any()]
    whole = np.stack([masks[place] for place in kept])
    boxes = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] for ys, xs in (np.where(mask) for mask in whole)]
    return torch.from_numpy(np.array(scene)).permute(2, 0, 1), {
        "boxes": torch.tensor(boxes, dtype=torch.float32),
        "labels": torch.tensor([labels[place] for place in kept]),
        "masks": torch.from_numpy(whole.astype(np.uint8)),
        "crowd": torch.zeros(len(kept), dtype=torch.bool),
    }
