"""Images as an encoder takes them, for what runs it outside of an extraction: a quantiser, a look at its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.data.image_split import ImageSplit


def as_fed(encoder: Encoder, split: ImageSplit, *, seed: int) -> Tensor:
    """Return the images of a split as the encoder takes them: framed and normalised [N, 3, S, S]."""
    import numpy as np

    from repdiag.config.views import EvaluationSettings
    from repdiag.embeddings.extract import evaluation_views
    from repdiag.embeddings.normalization import normalization_of

    settings = EvaluationSettings(preset=split.preset, seed=seed, views=0)
    images = evaluation_views(encoder, settings).originals(split, np.arange(len(split)))
    return normalization_of(encoder, split).apply(images)
