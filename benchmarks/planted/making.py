"""From a recipe to an encoder: its weights, its features of images it learnt from and of others, and the truth."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.planted import networks
from benchmarks.planted.images import Images, Source, marked, source
from benchmarks.planted.recipes import MERGED, Recipe
from benchmarks.planted.training import Schedule, train_by_labels, train_by_views
from benchmarks.planted.truth import measured
from benchmarks.planted.views import normalised, random_view
from repdiag.core.files import write_atomic

KEPT_ROWS, VIEWS = 3000, 2
_SCALINGS = {"unit": ((0.0,) * 3, (1.0,) * 3), "half": ((0.5,) * 3, (0.5,) * 3)}


def make(recipe: Recipe, folder: Path) -> Path:
    """Train the encoder unless its files are there, of the same recipe; return the record of what is true of it."""
    record = folder / f"{recipe.name}.json"
    if record.is_file() and vars(recipe).items() <= {"lot": 0, **json.loads(record.read_text("utf-8"))}.items():
        return record
    started = time.monotonic()
    given = source(recipe.data, lot=recipe.lot)
    train, val = given.train.select(_first(recipe, given)), given.val
    if recipe.marks:
        train, val = (marked(some, recipe.marks, seed=_seed(seed, recipe)) for some, seed in ((train, 1), (val, 2)))
    network = _network(recipe, train, given, folder)
    scaling = _SCALINGS.get(recipe.scaling, (given.mean, given.std))
    arrays = {
        **_read(network, _some(val, seed=_seed(3, recipe)), recipe, scaling),
        **{
            f"train_{name}": value
            for name, value in _read(network, _some(train, seed=_seed(4, recipe)), recipe, scaling).items()
        },
    }
    arrays |= {name: value.astype(np.float16) for name, value in arrays.items() if value.dtype == np.float32}
    write_atomic(folder / f"{recipe.name}.npz", lambda stream: np.savez(stream, **arrays))
    written: dict[str, Any] = {
        **vars(recipe),
        "seconds": round(time.monotonic() - started, 1),
        **measured(arrays),
    }
    return write_atomic(record, lambda stream: stream.write(json.dumps(written, indent=1).encode()))


def _first(recipe: Recipe, given: Source) -> Tensor:
    order = torch.randperm(len(given.train), generator=torch.Generator().manual_seed(_seed(5, recipe)))
    return order[: recipe.only]


def _seed(seed: int, recipe: Recipe) -> int:
    """Return the seed of a lot: every lot has images, marks and weights of its own."""
    return seed + 1000 * recipe.lot


def _network(recipe: Recipe, train: Images, given: Source, folder: Path) -> nn.Module:
    torch.manual_seed(_seed(recipe.seed, recipe))
    network = networks.build(recipe.backbone, size=train.pixels.shape[-1])
    width = networks.WIDTHS[recipe.backbone]
    if recipe.bottleneck:
        narrow = nn.Sequential(nn.Linear(width, recipe.bottleneck), nn.Linear(recipe.bottleneck, width))
        network = nn.Sequential(network, narrow)
    weights = folder / f"{recipe.weights_of or recipe.name}.pth"
    if recipe.weights_of:
        network.load_state_dict(torch.load(weights, weights_only=True))
    elif recipe.epochs:
        _train(recipe, network, train, given, width)
    network.eval()
    write_atomic(folder / f"{recipe.name}.pth", lambda stream: torch.save(network.state_dict(), stream))
    return network


def _train(recipe: Recipe, network: nn.Module, train: Images, given: Source, width: int) -> None:
    lr = recipe.lr if recipe.backbone != "vit" else min(recipe.lr, 1e-3)
    flip = recipe.data != "digits"
    seed = _seed(recipe.seed, recipe)
    schedule = Schedule(epochs=recipe.epochs, lr=lr, seed=seed, flip=flip, mean=given.mean, std=given.std)
    if recipe.method == "labels":
        targets = _targets(recipe, train)
        train_by_labels(network, train, targets, schedule, augment=recipe.augment, width=width)
    else:
        train_by_views(network, train, schedule, method=recipe.method, temperature=recipe.temperature, width=width)


def _targets(recipe: Recipe, images: Images) -> Tensor:
    how, _, number = recipe.targets.partition(":")
    if how == "merged":
        return torch.tensor(MERGED[recipe.data, int(number)])[images.labels]
    if how == "marks":
        return images.labels * int(number) + images.groups
    if how == "pixels":
        return _sub_labels(images, int(number))
    return images.labels


def _sub_labels(images: Images, parts: int) -> Tensor:
    from sklearn.cluster import KMeans

    found = torch.zeros_like(images.labels)
    for label in images.labels.unique():
        rows = (images.labels == label).nonzero().flatten()
        flat = images.pixels[rows, 0].flatten(1).float().numpy() / 255.0
        clusters = KMeans(parts, n_init=1, random_state=0).fit_predict(flat)
        found[rows] = label * parts + torch.from_numpy(clusters).long()
    return found


def _some(images: Images, *, seed: int) -> Images:
    """Return at most the rows that are kept, drawn without order."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images.select(order[:KEPT_ROWS])


@torch.inference_mode()
def _read(
    network: nn.Module, images: Images, recipe: Recipe, scaling: tuple[tuple[float, ...], tuple[float, ...]]
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(_seed(6, recipe))

    def features(pixels: Tensor) -> Tensor:
        return torch.cat([network(normalised(part, *scaling)) for part in pixels.split(500)])

    originals = features(images.pixels)
    views = torch.stack(
        [features(random_view(images.pixels, generator, flip=recipe.data != "digits")) for _ in range(VIEWS)]
    )
    if recipe.cone:
        offset = recipe.cone * originals.norm(dim=1).mean() * torch.ones(originals.shape[1]) / originals.shape[1] ** 0.5
        originals, views = originals + offset, views + offset
    arrays = {"features": originals, "views": views, "labels": images.labels, "row_ids": images.row_ids}
    return {name: value.numpy() for name, value in {**arrays, "groups": images.groups}.items()}
