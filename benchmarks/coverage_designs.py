"""Spaces with known make-up, drawn again and again: what `benchmarks.coverage` evaluates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Settings = Mapping[str, Any]
Wanted = tuple[str, Settings]
Draw = Callable[[int], dict[str, Any]]
DrawPair = Callable[[int], tuple[dict[str, Any], dict[str, Any]]]
CLASSES, PER_CLASS, DIMS = 10, 30, 8


@dataclass(frozen=True, kw_only=True)
class Design:
    """A way to draw data, the metrics to evaluate on it, and their share of the trials (slow ones get fewer)."""

    name: str
    draw: Draw
    wanted: tuple[Wanted, ...]
    share: float = 1.0


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


LABELS = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
CENTRES = normal(0, CLASSES, DIMS)


def fixed_classes(seed: int) -> dict[str, Any]:
    """The same classes every time, fresh rows of each: what a larger evaluation set of the dataset would give."""
    features = CENTRES[LABELS] + normal(seed + 1, len(LABELS), DIMS)
    return {"features": features, "labels": LABELS, **_views(features, seed), **_other(features, seed)}


def free_rows(seed: int) -> dict[str, Any]:
    """Rows drawn one by one from the mixture: class sizes vary."""
    labels = torch.randint(0, CLASSES, (len(LABELS),), generator=generator(seed + 1))
    features = CENTRES[labels] + normal(seed + 500_000, len(labels), DIMS)
    return {"features": features, "labels": labels}


def drawn_classes(seed: int, *, classes: int = 20, rows: int = 15) -> dict[str, Any]:
    """Classes drawn anew every time, as queries of other classes of the same kind would be; a bank of the same ones."""
    centres, labels = normal(seed + 1, classes, DIMS), torch.arange(classes).repeat_interleave(rows)
    features = centres[labels] + 0.8 * normal(seed + 100_000, len(labels), DIMS)
    bank = centres[labels] + 0.8 * normal(seed + 200_000, len(labels), DIMS)
    other = {"other_features": bank, "other_labels": labels, "other_views": bank + 0.5 * normal(seed, 2, *bank.shape)}
    return {"features": features, "labels": labels, **_views(features, seed), **other}


def classes_resampled(seed: int, *, classes: int = 20, rows: int = 15) -> dict[str, Any]:
    """As `drawn_classes`, and the intervals are told so."""
    data = drawn_classes(seed, classes=classes, rows=rows)
    return {**data, "groups": data["labels"]}


def cone(seed: int) -> dict[str, Any]:
    """Drawn classes far from the origin: rows are alike whatever their class."""
    centres, labels = normal(seed + 1, 12, 16) + 0.7, torch.arange(12).repeat_interleave(25)
    features = centres[labels] + normal(seed + 100_000, len(labels), 16)
    views = features + normal(seed + 900_000, 2, *features.shape)
    return {"features": features, "labels": labels, "groups": labels, "views": views}


def unlabelled_cone(seed: int) -> dict[str, Any]:
    features = 0.5 + normal(seed + 1, 200, 6)
    return {"features": features, **_views(features, seed), **_other(features, seed)}


def two_fixed_encoders(seed: int) -> dict[str, Any]:
    data = fixed_classes(seed)
    return {name: data[name] for name in ("features", "labels", "other_features")}


def many_dimensions(seed: int) -> dict[str, Any]:
    """Forty fixed classes of eight rows in 32 dimensions through two encoders."""
    centres, labels = normal(1, 40, 32), torch.arange(40).repeat_interleave(8)
    features = centres[labels] + normal(seed + 100_000, len(labels), 32)
    return {"features": features, "labels": labels, **_other(features, seed)}


def unlike_classes(seed: int) -> dict[str, Any]:
    """Thirty fixed classes of ten rows, each as tight as it happens to be, through two encoders."""
    centres, labels = normal(1, 30, 16), torch.arange(30).repeat_interleave(10)
    width = torch.rand(30, 1, generator=generator(7))[labels]
    features = centres[labels] + (0.2 + width) * normal(seed + 100_000, 300, 16)
    other = features + 1.5 * width * normal(seed + 800_000, 300, 16)
    return {"features": features, "labels": labels, "other_features": other}


def unequal_classes(seed: int) -> dict[str, Any]:
    """Eight fixed classes of 15 to 50 rows in 24 dimensions, well apart."""
    labels = torch.arange(8).repeat_interleave(torch.arange(15, 55, 5))
    features = 1.5 * normal(0, 8, 24)[labels] + normal(seed + 1, len(labels), 24)
    return {"features": features, "labels": labels}


def few_close_classes(seed: int) -> dict[str, Any]:
    """Four fixed classes of 60 rows in 12 dimensions that overlap."""
    labels = torch.arange(4).repeat_interleave(60)
    features = 0.8 * normal(7, 4, 12)[labels] + normal(seed + 1, len(labels), 12)
    return {"features": features, "labels": labels}


def heavy_tails(seed: int) -> dict[str, Any]:
    """Student's t with 4 degrees of freedom: a few rows lie far out."""
    scale = normal(seed + 600_000, 500, 4, 16).square().mean(dim=1).sqrt()
    return {"features": normal(seed + 1, 500, 16) / scale}


def islands(seed: int) -> dict[str, Any]:
    """Four fixed classes of two islands each."""
    place = torch.arange(8).repeat_interleave(20)
    return {"features": 3.0 * torch.eye(8)[place] + 0.8 * normal(seed + 1, 160, 8), "labels": place // 2}


def twenty_rows(seed: int) -> dict[str, Any]:
    labels = torch.arange(4).repeat_interleave(5)
    features = CENTRES[labels] + normal(seed + 1, 20, DIMS)
    return {"features": features, "labels": labels, **_views(features, seed)}


def one_class(seed: int) -> dict[str, Any]:
    features = CENTRES[0] + normal(seed + 1, 200, DIMS)
    return {"features": features, "labels": torch.zeros(200, dtype=torch.int64), **_views(features, seed)}


def hundred_classes(seed: int) -> dict[str, Any]:
    return drawn_classes(seed, classes=100, rows=3)


def copies(seed: int) -> dict[str, Any]:
    """A tenth of the rows stands there twice."""
    data = free_rows(seed)
    twice = torch.cat([torch.arange(len(LABELS)), torch.arange(len(LABELS) // 10)])
    return {name: value[twice] for name, value in data.items()}


def scenes(seed: int) -> dict[str, Any]:
    """Rows in groups of five near-copies (frames of one scene) that nothing tells the interval of."""
    data = fixed_classes(seed)
    scene = CENTRES[LABELS] + normal(seed + 1, len(LABELS) // 5, DIMS).repeat_interleave(5, dim=0)
    features = scene + 0.1 * normal(seed + 300_000, len(LABELS), DIMS)
    return {"features": features, "labels": LABELS, "views": data["views"]}


def scenes_resampled(seed: int) -> dict[str, Any]:
    return {**scenes(seed), "groups": torch.arange(len(LABELS)) // 5}


def hundred_classes_resampled(seed: int) -> dict[str, Any]:
    return classes_resampled(seed, classes=100, rows=3)


def equal_encoders(seed: int, *, noise: tuple[float, float] = (0.5, 0.5)) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same rows through two encoders that add unlike noise of one size, and turn their space each its own way."""
    data = classes_resampled(seed, classes=12, rows=15)
    found = []
    for encoder, size in enumerate(noise, start=1):
        start = seed + encoder * 10_000_000
        turn = torch.linalg.qr(normal(start, DIMS, DIMS)).Q
        features = (data["features"] + size * normal(start + 1, *data["features"].shape)) @ turn
        bank = (data["other_features"] + size * normal(start + 2, *data["other_features"].shape)) @ turn
        views = features + 0.5 * normal(start + 3, 2, *features.shape)
        found.append({**data, "features": features, "views": views, "other_features": bank})
    return found[0], found[1]


def unequal_encoders(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """As `equal_encoders`, and the second adds 1.3 times the noise of the first."""
    return equal_encoders(seed, noise=(0.5, 0.65))


def _views(features: Tensor, seed: int) -> dict[str, Tensor]:
    return {"views": features + 0.5 * normal(seed + 900_000, 2, *features.shape)}


def _other(features: Tensor, seed: int) -> dict[str, Tensor]:
    return {"other_features": features + normal(seed + 800_000, *features.shape)}


def _names(*names: str) -> tuple[Wanted, ...]:
    return tuple((name, {}) for name in names)


CLASS_METRICS = _names(
    "intra_class_distance", "inter_class_distance", "class_distance_ratio", "tolerance", "cdnv", "nc1", "nc2",
    "silhouette", "davies_bouldin", "calinski_harabasz",
)  # fmt: skip
SPECTRUM = _names(
    "rankme", "effective_rank", "participation_ratio", "stable_rank", "nesum", "singular_spectrum",
    "pseudo_condition_number", "self_clustering", "two_nn_dimension",
)  # fmt: skip
CLUSTERS = tuple(
    (name, {"clusters": CLASSES})
    for name in ("ami", "ari", "nmi", "kmeans_purity", "homogeneity", "completeness", "v_measure", "fowlkes_mallows")
)
QUERIES = (
    ("alignment", {}), ("alignment_margin", {}), ("instance_discrimination_accuracy", {"k": 1}),
    ("precision_at_1", {}), ("r_precision", {}), ("map_at_r", {}), ("knn_accuracy", {"k": 10}), ("best_nn", {}),
    ("mean_average_precision", {}), ("mean_reciprocal_rank", {}), ("pretext_gap", {}),
)  # fmt: skip
HARD = (("uniformity", {}), ("intra_class_distance", {}), ("alignment", {}), ("precision_at_1", {}), ("rankme", {}))
UNLABELLED = (("uniformity", {}), ("mean_cosine", {}), ("alignment", {}), ("rankme", {}))

NEIGHBOURS = _names("mutual_knn", "neighbor_jaccard")
DRAWN = _names("uniformity", "mean_cosine", "intra_class_distance", "inter_class_distance", "class_distance_ratio",
               "rankme")  # fmt: skip
MARGIN = (("alignment", {}), ("alignment_margin", {}))
TRAINED = (("linear_probe_accuracy", {}),)
OWN = (
    ("alignment", {}), ("alignment_margin", {}), ("instance_discrimination_accuracy", {"k": 1}),
    ("precision_at_1", {}), ("r_precision", {}), ("map_at_r", {}), ("locality", {}),
    ("mean_average_precision", {}), ("mean_reciprocal_rank", {}),
)  # fmt: skip
QUEUE = (("contrast_accuracy", {"k": 1}), ("info_nce", {}))

DESIGNS = (
    Design(name="rows drawn one by one", draw=free_rows, wanted=_names("uniformity", "mean_cosine")),
    Design(name="rows drawn one by one", draw=free_rows, wanted=_names("intra_class_distance", "rankme", "cdnv")),
    Design(name="fixed classes, equal sizes", draw=fixed_classes, wanted=(*_names("uniformity"), *CLASS_METRICS)),
    Design(name="8 fixed classes, unequal sizes", draw=unequal_classes, wanted=_names("nc1", "nc2", "cdnv")),
    Design(name="4 fixed classes that overlap", draw=few_close_classes, wanted=_names("nc1", "nc2", "cdnv")),
    Design(name="fixed classes, equal sizes", draw=fixed_classes, wanted=(*SPECTRUM, ("lidar", {}),
           ("alpha_req", {"first": 1, "last": 8}))),
    Design(name="fixed classes, equal sizes", draw=fixed_classes, wanted=_names("coherence"), share=2.0),
    Design(name="500 rows with heavy tails", draw=heavy_tails, wanted=_names("coherence"), share=2.0),
    Design(name="500 rows with heavy tails", draw=heavy_tails, wanted=_names("rankme")),
    Design(name="fixed classes, equal sizes", draw=fixed_classes,
           wanted=(*_names("linear_cka", "procrustes_distance", "cknna"), ("minibatch_cka", {"batch_size": 50}))),
    Design(name="fixed classes, equal sizes", draw=fixed_classes, wanted=CLUSTERS, share=0.5),
    Design(name="4 fixed classes of two islands", draw=islands, wanted=_names("granularity"), share=0.5),
    Design(name="fixed classes, equal sizes", draw=fixed_classes, wanted=OWN),
    Design(name="fixed classes, equal sizes", draw=fixed_classes, wanted=QUEUE),
    Design(name="20 drawn classes of 15 rows, groups=classes", draw=classes_resampled, wanted=QUERIES),
    Design(name="20 drawn classes of 15 rows, groups=classes", draw=classes_resampled, wanted=QUEUE),
    Design(name="20 drawn classes of 15 rows, groups=classes", draw=classes_resampled, wanted=TRAINED, share=0.25),
    Design(name="12 drawn classes in a cone, groups=classes", draw=cone, wanted=MARGIN, share=5.0),
    Design(name="200 rows in a cone, no labels", draw=unlabelled_cone, wanted=MARGIN, share=5.0),
    Design(name="fixed classes, equal sizes", draw=two_fixed_encoders, wanted=NEIGHBOURS),
    Design(name="200 rows in a cone, no labels", draw=unlabelled_cone, wanted=NEIGHBOURS),
    Design(name="40 fixed classes of 8 rows", draw=many_dimensions, wanted=NEIGHBOURS),
    Design(name="30 fixed classes of unlike width", draw=unlike_classes, wanted=NEIGHBOURS),
    Design(name="20 rows, 4 fixed classes", draw=twenty_rows, wanted=HARD),
    Design(name="one class of 200 rows", draw=one_class, wanted=UNLABELLED),
    Design(name="100 drawn classes of 3 rows", draw=hundred_classes, wanted=HARD),
    Design(name="the same, groups=classes", draw=hundred_classes_resampled, wanted=DRAWN),
    Design(name="20 drawn classes of 15 rows, groups=classes", draw=classes_resampled, wanted=DRAWN),
    Design(name="a tenth of the rows twice", draw=copies, wanted=HARD[:2] + HARD[3:]),
    Design(name="scenes of 5 near-copies", draw=scenes, wanted=HARD[:2] + HARD[3:]),
    Design(name="the same, groups=scenes", draw=scenes_resampled, wanted=HARD[:2] + HARD[3:]),
)  # fmt: skip
COMPARED = (*QUERIES[:8], *_names("uniformity", "intra_class_distance", "class_distance_ratio", "tolerance", "cdnv",
            "nc2", "silhouette", "rankme", "effective_rank", "participation_ratio"))  # fmt: skip
RETRIEVAL = _names("precision_at_1", "r_precision", "map_at_r")
RANKED = _names("mean_average_precision", "mean_reciprocal_rank")
