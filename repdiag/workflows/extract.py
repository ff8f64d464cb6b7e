"""`extract`: an encoder and images in any form -> embeddings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.config.views import EvaluationSettings
    from repdiag.core.embedding_set import EmbeddingSet


def extract(
    encoder: Encoder, images: Any, *, settings: EvaluationSettings | None = None, views: int = 2, **options: Any
) -> EmbeddingSet:
    """Run an encoder in eval mode over images and their seeded views.

    Shapes: N images -> features [N, D], views [V, N, D], projections where the encoder has a projector. `images` may be
    a tensor or array [N, 3, H, W] (uint8, or in [0, 1]), a list of paths or of PIL images, a folder, a dataset's name,
    an `ImageSplit`, any torch `Dataset` or iterable of images, alone or with class numbers. Images are resized, cropped
    and normalised as `encoder.info` says. `views` is the number of augmented views of each image. Seed and row
    determine them, so batch size and device change nothing; `settings` configures them. `options` are those of
    `repdiag.embeddings.extract.extract`: device, batch_size, workers, cache, fast, progress.

    Raises `DataError` for input that is not an image, `CheckpointError` for an encoder in training mode.

    Example:
        >>> import repdiag, torch
        >>> from torch import nn
        >>> encoder = repdiag.load_encoder(nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), image_size=8)
        >>> repdiag.extract(encoder, torch.rand(5, 3, 8, 8), views=0).features.shape
        torch.Size([5, 12])
    """
    from repdiag.config.views import EvaluationSettings
    from repdiag.data.given_images import as_image_split
    from repdiag.embeddings.extract import extract as run

    given = as_image_split(images)
    chosen = settings or EvaluationSettings(preset=given.split.preset, views=views)
    found = run(encoder, given.split, settings=chosen, **options)
    return found if given.labelled else replace(found, labels=None, class_names=None)
