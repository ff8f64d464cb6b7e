"""How often the check of the preprocessing is right: planted encoders and checkpoints, read rightly and wrongly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import repdiag
from benchmarks.planted import networks
from benchmarks.planted.images import source
from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.data.resample import resize_and_centre
from repdiag.diagnosis.preprocessing import judge_preprocessing
from repdiag.embeddings.first_batch_norm import COMMON, input_statistics

IMAGES = 64  # of each draw: enough for the verdict, and quick at 224 pixels
RIGHT, WRONG = "the right one", "at least twice or half its contrast"
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


def table(folder: Path, checkpoints: Sequence[Path]) -> str:
    """Return the table of verdicts: by encoder's kind, images and normalisation."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for kind, encoder, images in [*_planted(folder), *_given(checkpoints)]:
        own = encoder.info.mean, encoder.info.std
        for name, (mean, std) in {RIGHT: own, **_others(own)}.items():
            wrong = Encoder(encoder.backbone, _info(mean, std, encoder.info.image_size))
            rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:IMAGES]
            verdict = judge_preprocessing(input_statistics(wrong, images[rows])).verdict
            said = name if name == RIGHT else WRONG
            found.setdefault((kind, said), Counter())[verdict] += 1
    lines = ["| encoders and images | normalisation | as in training | cannot tell | not as in training |"]
    lines.append("|---|---|---|---|---|")
    for (kind, name), counts in found.items():
        cells = (counts[verdict] for verdict in ("as in training", "cannot tell", "not as in training"))
        lines.append(f"| {kind} | {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _others(own: Normalisation) -> dict[str, Normalisation]:
    """Return normalisations whose contrast is at least twice or half the right one: none is a matter of taste."""
    given = {**COMMON, "mean .5, std 1": ((0.5,) * 3, (1.0,) * 3)}
    return {name: each for name, each in given.items() if not 0.5 < sum(each[1]) / sum(own[1]) < 2.0}


def _planted(folder: Path) -> Iterator[tuple[str, Encoder, Tensor]]:
    for record in sorted(folder.glob("*.json")):
        truth: dict[str, Any] = json.loads(record.read_text("utf-8"))
        usable = truth["epochs"] and not (truth["bottleneck"] or truth["weights_of"] or truth["targets"][:5] == "marks")
        if not usable or truth["kind"] == "complete collapse":
            continue
        given = source(truth["data"])
        network = networks.build(truth["backbone"], size=given.val.pixels.shape[-1])
        network.load_state_dict(torch.load(record.with_suffix(".pth"), weights_only=True))
        encoder = Encoder(network, _info(given.mean, given.std, given.val.pixels.shape[-1]))
        kind = "planted, without batch norm" if truth["backbone"] == "vit" else "planted, images of their kind"
        yield kind, encoder, given.val.pixels.float() / 255.0


def _given(checkpoints: Sequence[Path]) -> Iterator[tuple[str, Encoder, Tensor]]:
    for path in checkpoints:
        encoder = repdiag.load_encoder(str(path))
        size = encoder.info.image_size
        for name in ("cifar", "fashion", "digits"):
            pixels = source(name).val.pixels[: 2 * IMAGES]
            resized = resize_and_centre(pixels, resize=size, size=size, interpolation="bilinear")
            yield f"{path.stem}, {name}", encoder, resized.float() / 255.0


def _info(mean: Any, std: Any, size: int) -> EncoderInfo:
    known: dict[str, Any] = dict.fromkeys(
        ("name", "path", "sha256", "family", "backbone", "branch", "layer"), "planted"
    )
    return EncoderInfo(**known, feature_dim=1, image_size=size, parameters=1, mean=tuple(mean), std=tuple(std))
