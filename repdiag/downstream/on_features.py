"""Runs a protocol on features: those of an encoder on images, or vectors that are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import UsageError
from repdiag.downstream.cached_training import cached_probe
from repdiag.downstream.frozen import FrozenSettings
from repdiag.downstream.labelled_features import (
    LabelledFeatures,
    Machine,
    extract_labelled,
    features_of,
    labelled,
    prepared_encoder,
    reading_of,
)
from repdiag.downstream.last_blocks import LastBlocksSettings, blocks_encoder, last_blocks_probe
from repdiag.downstream.linear import LinearSettings, linear_probe
from repdiag.downstream.neighbours import (
    FewShotSettings,
    NeighboursSettings,
    RetrievalSettings,
    few_shot,
    nearest_neighbours,
    retrieval,
)
from repdiag.downstream.outcome import Outcome
from repdiag.downstream.protocol import FeatureSettings, Settings
from repdiag.downstream.support_vectors import SupportVectorSettings, support_vectors

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.data.image_split import ImageSplit


def probe_vectors(train: EmbeddingSet, test: EmbeddingSet, settings: Settings) -> tuple[Outcome, EmbeddingSet]:
    """Run a protocol on vectors and return what it found, and the test rows that it speaks of."""
    if not isinstance(settings, FeatureSettings | FrozenSettings):
        raise UsageError("this protocol trains the backbone on images", hint="give a checkpoint and data")
    if isinstance(settings, FrozenSettings) and settings.augmentation != "none":
        hint = "augmentation=none for vectors, which is another protocol; or a checkpoint and data"
        raise UsageError("this protocol crops train images in every epoch", found="vectors", hint=hint)
    features = labelled(train, test)
    return _run(features, settings, {"batch_norm": "none: vectors", "crop": "none", "interpolation": "none"})


def probe_features(
    encoder: Encoder, settings: FeatureSettings, *, train: ImageSplit, test: ImageSplit, machine: Machine
) -> tuple[Outcome, EmbeddingSet]:
    """Run a protocol on an encoder's features and return what it found, and the test rows that it speaks of."""
    if isinstance(settings, LastBlocksSettings):
        encoder = blocks_encoder(encoder, settings)
    features = extract_labelled(encoder, settings, train=train, test=test, machine=machine)
    reading = reading_of(prepared_encoder(encoder, settings, test))
    return _run(features, settings, {"batch_norm": "running statistics, the backbone frozen", **reading})


def _run(
    features: LabelledFeatures, settings: FeatureSettings | FrozenSettings, reading: dict[str, str]
) -> tuple[Outcome, EmbeddingSet]:
    found = _RUNS[type(settings)](features, settings)
    said = {
        "features": features_of(features.test),
        "row_scaling": settings.rows,
        **reading,
        "seeds": [settings.seed],
        "train_images": len(features.train),
    }
    notes = found.notes
    if features.left_out:
        notes = (f"{features.left_out} images without a label are left out", *notes)
    # A protocol that was handed features cannot know of batch norm.
    known = {"batch_norm": reading["batch_norm"]}
    return replace(found, said={**said, **found.said, **known}, notes=notes), features.test


_RUNS: Mapping[type[Settings], Callable[[LabelledFeatures, Any], Outcome]] = MappingProxyType(
    {
        LinearSettings: linear_probe,
        NeighboursSettings: nearest_neighbours,
        RetrievalSettings: retrieval,
        FewShotSettings: few_shot,
        SupportVectorSettings: support_vectors,
        LastBlocksSettings: last_blocks_probe,
        FrozenSettings: cached_probe,
    }
)
