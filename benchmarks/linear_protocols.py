"""How far published linear protocols lie apart on the very same features: `python -m benchmarks.linear_protocols CKPT`.

Features are extracted once (no augmentation), 3,000 train and 2,000 test images; two seeds; the last epoch counts.
`--images first` takes the first images of each class by file name, a number draws them by that seed. Beside our value
stands that of a plain loop, which shares no code with the package's training; and, for the images and the encoder
they were measured on, the values of an earlier measurement. Exits with 1 where ours is more than a point from these.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import repdiag
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.data.image_split import ImageSplit

TRAIN, TEST = 3000, 2000
NONE = {"augmentation": "none"}
A_POINT = 1.0


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A protocol of the package, the same in plain words, and its value in an earlier measurement (percent)."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    plain: Mapping[str, Any] | None = None
    earlier: float | None = None


PROTOCOLS = (
    Compared(name="moco-lincls", settings=NONE, plain={"lr": 30.0, "epochs": 100, "steps": (60, 80)}, earlier=68.82),
    Compared(
        name="moco-lincls",
        settings={**NONE, "lr": 3.0},
        plain={"lr": 3.0, "epochs": 100, "steps": (60, 80)},
        earlier=68.78,
    ),
    Compared(name="swav-linear", settings=NONE, plain={"lr": 0.3, "epochs": 100, "decay": 1e-6}, earlier=69.40),
    Compared(name="simclr-linear", settings=NONE, plain={"lr": 0.1, "epochs": 90, "init": "torch"}, earlier=69.63),
    Compared(
        name="shi-transfer-linear",
        settings=NONE,
        plain={"lr": 1.5, "epochs": 60, "steps": (40,), "rows": "unit"},
        earlier=73.93,
    ),
    Compared(
        name="moco-lincls",
        settings={**NONE, "rows": "unit"},
        plain={"lr": 30.0, "epochs": 100, "steps": (60, 80), "rows": "unit"},
        earlier=70.50,
    ),
    Compared(
        name="compress-linear",
        settings=NONE,
        plain={"lr": 0.01, "epochs": 40, "steps": (15, 30), "decay": 1e-4, "rows": "standardised"},
        earlier=72.55,
    ),
    Compared(name="kornblith", earlier=73.10),
    Compared(name="linear"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--interpolation", default="bicubic")
    parser.add_argument("--images", default="first", help="first, or the seed that draws them")
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    size = given.image_size
    encoder = repdiag.load_encoder(given.checkpoint, image_size=size, resize=size, interpolation=given.interpolation)
    train, test = (
        repdiag.extract(encoder, chosen(repdiag.open_dataset(given.data, part), count, given.images), views=0)
        for part, count in (("train", TRAIN), ("val", TEST))
    )
    known = given.images == "first" and given.interpolation == "bicubic"
    print("| protocol | changed | last epoch | plain loop | earlier | best epoch on test |\n|---|---|---|---|---|---|")
    far = 0
    for one in PROTOCOLS:
        found = [
            repdiag.probe(test, bank=train, protocol=one.name, settings=one.settings, seed=seed)
            for seed in range(given.seeds if one.plain else 1)
        ]
        value = 100 * sum(found.value or 0.0 for found in found) / len(found)
        best = [found.row.extra["best_on_test"] for found in found]
        shown = f"{100 * sum(b['top1'] for b in best) / len(best):.2f}" if isinstance(best[0], dict) else ""
        plain = f"{plain_loop(train, test, given.seeds, **one.plain):.2f}" if one.plain else ""
        earlier = one.earlier if known else None
        far += earlier is not None and abs(value - earlier) > A_POINT
        changed = ", ".join(f"{key}={item}" for key, item in one.settings.items() if key != "augmentation")
        said = "" if earlier is None else f"{earlier:.2f}"
        print(f"| {one.name} | {changed} | {value:.2f} | {plain} | {said} | {shown} |", flush=True)
    return 1 if far else 0


def chosen(split: ImageSplit, count: int, images: str) -> ImageSplit:
    """Return equally many images of each class: the first by file name, or those that a seed draws."""
    if images != "first":
        return split.limited(count, seed=int(images))
    per_class = count // len(split.class_names)
    names = np.asarray([str(row) for row in split.row_ids])
    rows = [np.flatnonzero(split.labels == label) for label in range(len(split.class_names))]
    return split.subset(np.concatenate([own[np.argsort(names[own], kind="stable")][:per_class] for own in rows]))


def plain_loop(
    train: EmbeddingSet,
    test: EmbeddingSet,
    seeds: int,
    *,
    lr: float,
    epochs: int,
    steps: Sequence[int] = (),
    decay: float = 0.0,
    rows: str = "raw",
    init: str = "normal",
) -> float:
    """Return the mean accuracy in percent of linear classifiers by torch's SGD; no steps: a cosine by epochs.

    The last batch of an epoch is a short one, which the package's loop leaves out.
    """
    assert isinstance(train.labels, Tensor)
    assert isinstance(test.labels, Tensor)
    scale = scaling(train.features.float(), rows)
    known, asked = scale(train.features.float()), scale(test.features.float())
    found = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        layer = nn.Linear(known.shape[1], int(train.labels.max()) + 1)
        if init == "normal":
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        optimizer = torch.optim.SGD(layer.parameters(), lr, momentum=0.9, weight_decay=decay)
        for epoch in range(epochs):
            share = 0.1 ** sum(epoch >= step for step in steps) if steps else (1 + np.cos(np.pi * epoch / epochs)) / 2
            optimizer.param_groups[0]["lr"] = lr * float(share)
            for index in torch.randperm(len(known)).split(256):
                optimizer.zero_grad()
                functional.cross_entropy(layer(known[index]), train.labels[index]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        found.append(float((layer(asked).argmax(dim=1) == test.labels).double().mean()))
    return 100 * sum(found) / len(found)


def scaling(train: Tensor, rows: str) -> Callable[[Tensor], Tensor]:
    """Return what is done to features: nothing, length 1, or length 1 and then train's mean and deviation."""
    if rows == "raw":
        return lambda given: given
    if rows == "unit":
        return lambda given: functional.normalize(given, dim=1)
    unit = functional.normalize(train, dim=1)
    mean, spread = unit.mean(dim=0), unit.std(dim=0) + 1e-6
    return lambda given: (functional.normalize(given, dim=1) - mean) / spread


if __name__ == "__main__":
    raise SystemExit(main())
