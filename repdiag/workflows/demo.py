"""`demo`: a made-up space with planted islands, and the diagnosis that finds them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.provenance import Provenance

if TYPE_CHECKING:
    from repdiag.workflows.analysis import Analysis

CLASSES = ("apple", "bicycle", "cat", "drum")
PLANTED = {"bicycle": 3, "cat": 2}
_ROWS, _DIMENSIONS, _NOISE = 150, 32, 0.13
# What the three questions read, without the long curves of clusters: the demo is over in seconds.
_METRICS = (
    *("islands", "precision_at_1", "r_precision", "locality", "mean_cosine", "rankme"),
    *("singular_spectrum", "effective_rank", "participation_ratio"),
)


def planted_space(*, seed: int = 0) -> EmbeddingSet:
    """Return 600 made-up rows of four classes, two of which lie in several islands (`PLANTED`).

    Shapes: features [600, 32], labels [600].

    Example:
        >>> planted_space().features.shape
        torch.Size([600, 32])
    """
    import numpy as np
    import torch

    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(_DIMENSIONS, _DIMENSIONS)))
    centres, place = [], 0
    for name in CLASSES:
        islands = PLANTED.get(name, 1)
        which = np.arange(_ROWS) % islands
        # Islands of a class share a part of their direction: they are related, and still apart.
        shared, own = axes[place], axes[place + 1 : place + 1 + islands]
        centres.append(0.6 * shared + 0.8 * own[which] if islands > 1 else np.tile(shared, (_ROWS, 1)))
        place += 1 + islands
    features = np.concatenate(centres) + _NOISE * rng.normal(size=(_ROWS * len(CLASSES), _DIMENSIONS))
    return EmbeddingSet(
        features=torch.from_numpy(features).float(),
        labels=torch.arange(len(CLASSES)).repeat_interleave(_ROWS),
        class_names=CLASSES,
        provenance=Provenance(dataset="planted islands", split="val"),
    )


def demo(out: Path | None = None, *, seed: int = 0) -> tuple[Analysis, list[Path]]:
    """Diagnose the planted space; draw its split classes and its map to `out`, and return both.

    Example:
        >>> found, pictures = demo()
        >>> dict(found.diagnosis.over_clustering.split_classes), pictures
        ({'bicycle': 3, 'cat': 2}, [])
    """
    from repdiag.workflows import vector_frames
    from repdiag.workflows.figures import draw_frames
    from repdiag.workflows.vectors import analyze_vectors

    found = analyze_vectors(planted_space(seed=seed), name="demo", metrics=_METRICS, seed=seed)
    if out is None:
        return found, []
    frames = {"split_classes": vector_frames.split_classes(found.name, found.embeddings, found.table)}
    drawn = draw_frames(frames, out, untrained=())
    return found, [path for path in drawn if path.suffix == ".png"]
