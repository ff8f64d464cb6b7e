"""Runs a protocol on features: those of an encoder on images, or vectors that are given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from repdiag.core.embedding_set import EmbeddingSet
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
from repdiag.downstream.protocol import FeatureSettings
from repdiag.downstream.support_vectors import SupportVectorSettings, support_vectors

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.data.image_split import ImageSplit


def probe_vectors(train: EmbeddingSet, test: EmbeddingSet, settings: FeatureSettings) -> tuple[Outcome, EmbeddingSet]:
    """Run a protocol on vectors and return what it found, and the test rows that it speaks of."""
    features = labelled(train, test)
    return _run(features, settings, {"batch_norm": "none: vectors", "crop": "none", "interpolation": "none"})


def probe_features(
    encoder: Encoder, settings: FeatureSettings, *, train: ImageSplit, test: ImageSplit, machine: Machine
) -> tuple[Outcome, EmbeddingSet]:
    """Run a protocol on an encoder's features and return what it found, and the test rows that it speaks of."""
    if isinstance(settings, LastBlocksSettings):
        encoder = blocks_encoder(encoder, settings)
    features = extract_labelled(encoder, settings, train=train, test=test, machine=machine)
    reading = reading_of(prepared_encoder(encoder, settings))
    return _run(features, settings, {"batch_norm": "running statistics, the backbone frozen", **reading})


def _run(
    features: LabelledFeatures, settings: FeatureSettings, reading: dict[str, str]
) -> tuple[Outcome, EmbeddingSet]:
    found = _outcome(features, settings)
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
    return replace(found, said={**said, **found.said}, notes=notes), features.test


def _outcome(features: LabelledFeatures, settings: FeatureSettings) -> Outcome:
    match settings:
        case LinearSettings():
            return linear_probe(features, settings)
        case NeighboursSettings():
            return nearest_neighbours(features, settings)
        case RetrievalSettings():
            return retrieval(features, settings)
        case FewShotSettings():
            return few_shot(features, settings)
        case SupportVectorSettings():
            return support_vectors(features, settings)
        case LastBlocksSettings():
            return last_blocks_probe(features, settings)
    raise TypeError(f"no protocol on features has settings of type {type(settings).__name__}")
