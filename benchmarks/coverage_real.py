"""Fresh draws of real rows: the CIFAR-10 JPEGs through two ResNets, stored where `--real FOLDER` says.

The folder holds what these commands leave, 1,000 train and 1,000 test images of each class through each of both:

    repdiag embed resnet20.th --data imagefolder:cifar10 --split val --views 2 -o FOLDER/resnet20-val
    repdiag embed resnet20.th --data imagefolder:cifar10 --split train --limit 10000 --views 2 -o FOLDER/resnet20-train

A trial draws 50 rows of each class without replacement; the population is twenty times as large, so that the values
vary 2.5 % less than with fresh images. The classes stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.coverage_designs import Design, Wanted, generator
from repdiag.embeddings.store import load_embedding_set

ENCODERS = ("resnet20", "resnet56")
PER_CLASS = 50
NOISE = 0.5  # of the mean spread of a dimension: what two encoders of equal quality add, each its own
MORE_NOISE = 0.7


@dataclass(frozen=True, kw_only=True)
class Population:
    """All stored rows of one encoder on one split, as tensors."""

    features: Tensor
    views: Tensor
    labels: Tensor

    def of_class(self, number: int) -> Tensor:
        """Return the rows of a class."""
        return (self.labels == number).nonzero().flatten()

    def draw(self, seed: int, *, per_class: int = PER_CLASS) -> Tensor:
        """Return so many rows of each class, drawn without replacement."""
        lots = generator(seed)
        parts = []
        for number in torch.unique(self.labels).tolist():
            mine = self.of_class(number)
            parts.append(mine[torch.randperm(len(mine), generator=lots)[:per_class]])
        return torch.cat(parts)


@cache
def population(folder: Path, encoder: str, split: str) -> Population:
    """Return what is stored; the views are those of every image."""
    found = load_embedding_set(folder / f"{encoder}-{split}")
    assert found.views is not None
    assert found.labels is not None
    return Population(features=found.features.float(), views=found.views.float(), labels=found.labels)


@dataclass(frozen=True, kw_only=True)
class RealRows:
    """Draws of the stored rows of one encoder; `trial` numbers them."""

    folder: Path
    encoder: str = ENCODERS[0]

    def rows(self, trial: int) -> dict[str, Any]:
        """Return a draw of test rows, one of train rows as the bank, and nothing of another encoder."""
        held_out, seen = (population(self.folder, self.encoder, split) for split in ("val", "train"))
        rows, bank = held_out.draw(trial + 1), seen.draw(trial + 500_000)
        return {
            "features": held_out.features[rows],
            "views": held_out.views[:, rows],
            "labels": held_out.labels[rows],
            "other_features": seen.features[bank],
            "other_views": seen.views[:, bank],
            "other_labels": seen.labels[bank],
        }

    def with_one_bank(self, trial: int) -> dict[str, Any]:
        """Return a draw of test rows beside a bank that stays."""
        seen = population(self.folder, self.encoder, "train")
        bank = seen.draw(0, per_class=100)
        return {
            **self.rows(trial),
            "other_features": seen.features[bank],
            "other_labels": seen.labels[bank],
            "other_views": seen.views[:, bank],
        }

    def two_encoders(self, trial: int) -> dict[str, Any]:
        """Return the same test rows through both encoders."""
        first, second = (population(self.folder, name, "val") for name in ENCODERS)
        rows = first.draw(trial + 1)
        return {
            "features": first.features[rows],
            "labels": first.labels[rows],
            "other_features": second.features[rows],
        }

    def pair(self, trial: int, *, noise: tuple[float, float] = (NOISE, NOISE)) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the same rows through two encoders that each add noise of their own to those of one."""
        data = self.with_one_bank(trial)
        spread = float(population(self.folder, self.encoder, "val").features.std(dim=0).mean())
        found = []
        for number, size in enumerate(noise, start=1):
            lots = generator(10_000_000 * number + trial)

            def noisy(rows: Tensor, size: float = size, lots: torch.Generator = lots) -> Tensor:
                return rows + size * spread * torch.randn(rows.shape, generator=lots)

            bank = noisy(data["other_features"])
            found.append(
                {
                    **data,
                    "features": noisy(data["features"]),
                    "views": noisy(data["views"]),
                    "other_features": bank,
                }
            )
        return found[0], found[1]

    def unequal_pair(self, trial: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a pair of which the second adds more noise."""
        return self.pair(trial, noise=(NOISE, MORE_NOISE))


def _of(*names: str, **settings: Any) -> tuple[Wanted, ...]:
    return tuple((name, settings) for name in names)


RETRIEVAL: tuple[Wanted, ...] = _of("precision_at_1", "r_precision", "map_at_r", "locality")
QUERIES: tuple[Wanted, ...] = (
    *_of("alignment", "alignment_margin"),
    ("instance_discrimination_accuracy", {"k": 1}),
    *RETRIEVAL,
    ("pretext_gap", {"k": 1}),
    ("label_gap", {"of": "precision_at_1"}),
    ("label_gap", {"of": "r_precision"}),
    ("probe_gap", {}),
)
BANKED: tuple[Wanted, ...] = (("knn_accuracy", {"k": 20}), ("best_nn", {}))
SPACES: tuple[Wanted, ...] = _of(
    *("uniformity", "mean_cosine", "intra_class_distance", "inter_class_distance", "class_distance_ratio"),
    *("tolerance", "cdnv", "nc1", "nc2", "silhouette", "davies_bouldin", "calinski_harabasz"),
    *("rankme", "effective_rank", "participation_ratio", "stable_rank", "nesum", "two_nn_dimension"),
)
CLUSTERS: tuple[Wanted, ...] = (
    *_of("ami", "ari", "nmi", "kmeans_purity", clusters=10),
    ("granularity_slope", {"factor": 2.0}),
    ("granularity_slope", {"factor": 4.0}),
    ("granularity_slope", {"factor": 0.5}),
)
OTHERS: tuple[Wanted, ...] = _of("mutual_knn", "neighbor_jaccard", "linear_cka", "procrustes_distance")
COMPARED: tuple[Wanted, ...] = (
    *QUERIES[:7],
    *BANKED,
    *_of("uniformity", "intra_class_distance", "class_distance_ratio", "silhouette", "rankme"),
)


def real_designs(folder: Path) -> list[Design]:
    """Return the designs on rows of both encoders; the slow ones on those of the first."""
    found = []
    for encoder in ENCODERS:
        rows = RealRows(folder=folder, encoder=encoder)
        found.append(Design(name=f"500 rows, {encoder}", draw=rows.rows, wanted=QUERIES, share=2.0))
        found.append(Design(name=f"500 rows, {encoder}", draw=rows.with_one_bank, wanted=BANKED, share=2.0))
    rows = RealRows(folder=folder)
    found.append(Design(name="500 rows, both", draw=rows.two_encoders, wanted=OTHERS))
    found.append(Design(name="500 rows, resnet20", draw=rows.rows, wanted=SPACES))
    found.append(Design(name="500 rows, resnet20", draw=rows.rows, wanted=CLUSTERS, share=0.5))
    return found


def half_widths(folder: Path, encoder: str) -> Mapping[str, str]:
    """Return the half-widths of the intervals at 2,000 rows of an encoder: their mean and largest over ten draws."""
    from repdiag.metrics.inference import with_interval
    from repdiag.metrics.pairwise import sharing
    from repdiag.metrics.registry import get

    rows = population(folder, encoder, "val")
    found: dict[str, list[float]] = {}
    for trial in range(10):
        chosen = rows.draw(trial + 1, per_class=200)
        arguments = {"features": rows.features[chosen], "labels": rows.labels[chosen]}
        with sharing():
            for name, settings in RETRIEVAL:
                metric, given = get(name), {**arguments, **settings}
                value = with_interval(metric, metric.function(**given), given, labels=given["labels"], seed=trial)
                assert value.ci_high is not None
                assert value.ci_low is not None
                found.setdefault(name, []).append((value.ci_high - value.ci_low) / 2.0)
    return {name: f"{sum(widths) / len(widths):.4f} ({max(widths):.4f})" for name, widths in found.items()}
