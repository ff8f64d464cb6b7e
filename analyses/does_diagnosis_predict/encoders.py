"""The encoders: those of benchmarks.planted_encoders, and checkpoints that are named."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import repdiag
from benchmarks.planted import networks
from benchmarks.planted.images import source
from repdiag.checkpoints.encoder import Encoder

SIDES = {"fashion": 28, "cifar": 32, "digits": 16}
SCALINGS = {"unit": ((0.0,) * 3, (1.0,) * 3), "half": ((0.5,) * 3, (0.5,) * 3)}
SOUND = ("healthy",)
"""Kinds of planted encoders without a fault; named checkpoints are "public"."""


@dataclass(frozen=True)
class Candidate:
    """One encoder, what was planted in it, and what it learnt from."""

    name: str
    kind: str
    data: str
    encoder: Encoder


def candidates(planted: Path, checkpoints: Sequence[str]) -> Iterator[Candidate]:
    """Yield every encoder in an order that is drawn; those that were only moved off after the network are left out."""
    records = sorted(planted.glob("*.json"))
    random.Random(0).shuffle(records)
    for record in records:
        truth = json.loads(record.read_text("utf-8"))
        if not truth["cone"]:
            yield planted_encoder(record, truth)
    for path in checkpoints:
        given, _, size = path.partition("@")
        sized = {"image_size": int(size), "resize": int(size)} if size else {}
        encoder = repdiag.load_encoder(given, **sized)
        yield Candidate(encoder.info.name, "public", "public", encoder)


def planted_encoder(record: Path, truth: dict[str, object]) -> Candidate:
    backbone, data, bottleneck = str(truth["backbone"]), str(truth["data"]), int(str(truth["bottleneck"]))
    network: nn.Module = networks.build(backbone, size=SIDES[data])
    if bottleneck:
        width = networks.WIDTHS[backbone]
        network = nn.Sequential(network, nn.Sequential(nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)))
    network.load_state_dict(torch.load(record.with_suffix(".pth"), weights_only=True))
    own = source(data)
    mean, std = SCALINGS.get(str(truth["scaling"]), (own.mean, own.std))
    encoder = repdiag.load_encoder(network.eval(), image_size=SIDES[data], mean=mean, std=std, name=record.stem)
    return Candidate(record.stem, str(truth["kind"]), data, encoder)
