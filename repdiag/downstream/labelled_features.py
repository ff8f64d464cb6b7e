"""The rows that a protocol on features looks at: train and test of one encoder, with their labels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError
from repdiag.downstream.protocol import RowScaling, Settings
from repdiag.metrics.algebra.moments import float64_unit_rows

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.data.image_split import ImageSplit

Counting = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
CLASSIC = 256 / 224
TINY = 64


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and how images run through the encoder; changes no value beyond rounding."""

    device: str = "cpu"
    batch_size: int = 256
    workers: int = 0
    cache: bool = True
    fast: bool = False
    counting: Counting | None = None

    def count(self, what: str) -> Any:
        """Give the callback (done, total) of one stage."""
        return self.counting(what) if self.counting is not None else nullcontext(None)


@dataclass(frozen=True, kw_only=True)
class LabelledFeatures:
    """Features of train and test, rows without a label left out; `left_out` counts these."""

    train: EmbeddingSet
    test: EmbeddingSet
    left_out: int = 0

    @property
    def classes(self) -> int:
        """Return how many classes the train set has."""
        return len(torch.unique(_labels(self.train)))


def labelled(train: EmbeddingSet, test: EmbeddingSet) -> LabelledFeatures:
    """Return the rows that have a label of both sets.

    Raises `DataError` without labels, for sets of unlike width, and where train has a single class.
    """
    for name, one in (("train", train), ("test", test)):
        if one.labels is None and one.label_matrix is None:
            raise DataError(f"the {name} set has no labels, which a protocol is about")
    if train.features.shape[1] != test.features.shape[1]:
        found = f"{train.features.shape[1]} and {test.features.shape[1]} features"
        raise DataError("train and test must come from one encoder", found=found)
    first, second = _known(train), _known(test)
    left_out = len(train) + len(test) - len(first) - len(second)
    kept = LabelledFeatures(train=first, test=second, left_out=left_out)
    if train.labels is not None and kept.classes < 2:
        raise DataError("the train set has one class only", found=f"{len(kept.train)} images")
    return kept


def extract_labelled(
    encoder: Encoder, settings: Settings, *, train: ImageSplit, test: ImageSplit, machine: Machine
) -> LabelledFeatures:
    """Extract the features of both splits, cropped and resized as the protocol says."""
    prepared = prepared_encoder(encoder, settings, test)
    return labelled(*(extract_features(prepared, split, machine) for split in (train, test)))


def prepared_encoder(encoder: Encoder, settings: Settings, images: ImageSplit) -> Encoder:
    """Return the same encoder under the protocol's own crop and interpolation."""
    info = encoder.info
    tiny = images.native_size is not None and images.native_size <= TINY
    if settings.crop == "whole" or (settings.crop == "classic, whole if tiny" and tiny):
        info = replace(info, resize=None, squash=False)
    elif settings.crop.startswith("classic"):
        info = replace(info, resize=round(info.image_size * CLASSIC), squash=False)
    elif settings.crop == "squash":
        info = replace(info, resize=None, squash=True)
    if settings.interpolation != "encoder":
        info = replace(info, interpolation=settings.interpolation)
    prepared = copy.copy(encoder)  # shares the network, not what is said about it
    prepared.info = info
    return prepared


def reading_of(encoder: Encoder) -> dict[str, str]:
    """Return crop and interpolation of test images in words."""
    info = encoder.info
    size, side = info.image_size, info.resize or info.image_size
    how = f"both sides to {side} px" if info.squash else f"shorter side to {side} px"
    words = how if side == size and info.squash else f"{how}, centre {size} px"
    return {"crop": f"{words}; images that are {size} px stay", "interpolation": f"{info.interpolation}, antialiased"}


def features_of(found: EmbeddingSet) -> str:
    """Return layer and width in words."""
    return f"{found.provenance.layer}, {found.features.shape[1]} dimensions"


def scaled(train: Tensor, test: Tensor, rows: RowScaling) -> tuple[Tensor, Tensor]:
    """Return the rows in float64, scaled; statistics are the train set's. Dimensions that do not vary are left out."""
    first, second = train.double(), test.double()
    if rows.startswith("unit"):
        first, second = float64_unit_rows(first), float64_unit_rows(second)
    if rows.endswith("standardised"):
        mean, spread = first.mean(dim=0), first.std(dim=0, correction=0)
        varies = spread > 1e-12 * mean.abs().clamp_min(float(spread.max()))
        if not bool(varies.any()) or float(spread.max()) == 0.0:
            raise DataError("no dimension of the train set's features varies")
        first, second = ((one - mean)[:, varies] / spread[varies] for one in (first, second))
    return first, second


def class_numbers(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return labels as numbers among the train set's classes, -1 for a class that it lacks, and how many there are."""
    known = torch.unique(train)
    places = torch.searchsorted(known, test).clamp_max(len(known) - 1)
    return torch.searchsorted(known, train), torch.where(known[places] == test, places, -1), len(known)


def _labels(found: EmbeddingSet) -> Tensor:
    assert isinstance(found.labels, Tensor)
    return found.labels


def _known(found: EmbeddingSet) -> EmbeddingSet:
    rows = found.labelled_rows()
    return found if rows is None else found.select(rows)


def extract_features(encoder: Encoder, split: ImageSplit, machine: Machine) -> EmbeddingSet:
    """Return the features of the split's images as the encoder's info says, without views."""
    from repdiag.config.views import EvaluationSettings
    from repdiag.embeddings.cache import EmbeddingCache, cache_root
    from repdiag.embeddings.extract import extract

    with machine.count(f"{encoder.info.name}: {split.split}") as progress:
        return extract(
            encoder,
            split,
            settings=EvaluationSettings(preset=split.preset, views=0),
            device=machine.device,
            batch_size=machine.batch_size,
            workers=machine.workers,
            fast=machine.fast,
            cache=EmbeddingCache(cache_root()) if machine.cache else None,
            progress=progress,
        )
