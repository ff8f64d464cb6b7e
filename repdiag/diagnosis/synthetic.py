"""Spaces with known truth: what the verdicts are calibrated on, and what a reader can try them with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import ConfigError
from repdiag.core.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class SpaceRecipe:
    """A mixture of islands on whose classes, scales and faults the truth is known.

    An island's centre is its class's own direction (share `kinship` of the squared length) plus one of its own; a row
    is its island's centre plus noise of length `within`; a view is its row plus noise of length `view`, which is
    `forgotten` times longer on the val split: the encoder knows its train images by heart.
    """

    classes: int = 10
    islands: int = 1
    """Islands of each class."""
    per_class: int = 50
    dims: int = 128
    kinship: float = 0.0
    """0: islands of a class lie no closer together than any others. 1: they coincide."""
    within: float = 0.3
    view: float = 0.15
    forgotten: float = 1.0
    merged: int = 1
    """Classes that share all their islands."""
    imbalance: float = 1.0
    """Rows of the largest class over those of the smallest."""
    uneven: bool = False
    """Islands of unequal size."""
    decay: float = 0.0
    """Noise variance along direction i falls as i^-decay."""
    freedom: float = math.inf
    """Degrees of freedom of the noise (Student's t, above 2); infinite for normal noise."""
    duplicates: float = 0.0
    """Share of rows that are exact copies of another row of their class."""
    live_dims: int | None = None
    """Dimensions left after dimensional collapse."""
    floor: float = 1e-4
    """Share of their length that the collapsed dimensions keep."""
    offset: float = 0.0
    """Length of a vector added to every row: the cone."""
    shrink: float = 1.0
    """Factor on everything but the offset: the complete collapse."""


def draw_space(recipe: SpaceRecipe, *, seed: int = 0, split: str = "val") -> EmbeddingSet:
    """Return one split of the space. Train and val of one seed share centres and geometry, and no row."""
    if recipe.islands < 1 or recipe.freedom <= 2 or not 1 <= recipe.merged <= recipe.classes:
        raise ConfigError("a space needs islands >= 1, freedom > 2 and merged in 1 to classes", found=str(recipe))
    geometry = torch.Generator().manual_seed(seed)
    centres, axes = _centres(recipe, geometry), _axes(recipe.dims, geometry)
    generator = torch.Generator().manual_seed(2 * seed + (1 if split == "train" else 2) + 10**6)
    labels = torch.repeat_interleave(torch.arange(recipe.classes), _sizes(recipe))
    island = _islands(recipe, labels, generator)
    rows = centres[labels // recipe.merged, island] + recipe.within * _noise(recipe, len(labels), axes, generator)
    rows = _with_copies(rows, labels, recipe.duplicates, generator)
    length = recipe.view * (recipe.forgotten if split != "train" else 1.0)
    views = torch.stack([rows + length * _noise(recipe, len(rows), axes, generator) for _ in range(2)])
    return EmbeddingSet(
        features=_finish(rows, recipe, axes),
        views=torch.stack([_finish(view, recipe, axes) for view in views]),
        labels=labels,
        provenance=Provenance(checkpoint="synthetic", dataset="synthetic", split=split, views_seed=seed),
    )


def separation(recipe: SpaceRecipe, *, seed: int = 0) -> float:
    """Return how far islands lie apart, in standard deviations of the noise along its widest direction.

    The distance is that of an island's centre from the nearest other one; of these the lowest decile, so that a tenth
    of the islands may lie closer. From 6 on no density bridges two islands; below 2 nothing separates them.
    """
    centres = _centres(recipe, torch.Generator().manual_seed(seed)).flatten(0, 1)
    distances = torch.cdist(centres, centres).fill_diagonal_(math.inf).amin(dim=1)
    variances = torch.arange(1, recipe.dims + 1, dtype=torch.float64) ** -recipe.decay
    widest = recipe.within * float((variances[0] / variances.sum()).sqrt())
    return float(torch.quantile(distances, 0.1)) / widest


def _directions(*shape: int, generator: torch.Generator) -> Tensor:
    """Return normal vectors of expected length 1."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64) / math.sqrt(shape[-1])


def _centres(recipe: SpaceRecipe, generator: torch.Generator) -> Tensor:
    groups = math.ceil(recipe.classes / recipe.merged)
    common = _directions(groups, 1, recipe.dims, generator=generator)
    own = _directions(groups, recipe.islands, recipe.dims, generator=generator)
    return math.sqrt(recipe.kinship) * common + math.sqrt(1.0 - recipe.kinship) * own


def _axes(dims: int, generator: torch.Generator) -> Tensor:
    axes: Tensor = torch.linalg.qr(torch.randn(dims, dims, generator=generator, dtype=torch.float64)).Q
    return axes


def _sizes(recipe: SpaceRecipe) -> Tensor:
    """Class sizes fall geometrically from per_class to per_class / imbalance."""
    place = torch.linspace(0.0, 1.0, recipe.classes, dtype=torch.float64)
    sizes: Tensor = (torch.pow(recipe.imbalance, -place) * recipe.per_class).round().long()
    return sizes.clamp_min(2)


def _islands(recipe: SpaceRecipe, labels: Tensor, generator: torch.Generator) -> Tensor:
    if not recipe.uneven:
        return torch.arange(len(labels)) % recipe.islands
    shares = torch.rand(recipe.islands, generator=generator, dtype=torch.float64) + 0.5
    return torch.multinomial(shares, len(labels), replacement=True, generator=generator)


def _noise(recipe: SpaceRecipe, rows: int, axes: Tensor, generator: torch.Generator) -> Tensor:
    """Return noise of expected squared length 1, with the recipe's spectrum and tails."""
    variances = torch.arange(1, recipe.dims + 1, dtype=torch.float64) ** -recipe.decay
    noise = torch.randn(rows, recipe.dims, generator=generator, dtype=torch.float64)
    noise = noise * (variances / variances.sum()).sqrt() @ axes.T
    if math.isinf(recipe.freedom):
        return noise
    squares = torch.randn(rows, round(recipe.freedom), generator=generator, dtype=torch.float64).square().sum(dim=1)
    return noise * ((recipe.freedom - 2.0) / squares).sqrt()[:, None]


def _with_copies(rows: Tensor, labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    rows = rows.clone()
    chosen = torch.randperm(len(rows) - 1, generator=generator)[: int(share * len(rows))]
    chosen = chosen[labels[chosen] == labels[chosen + 1]]
    rows[chosen] = rows[chosen + 1]
    return rows


def _finish(rows: Tensor, recipe: SpaceRecipe, axes: Tensor) -> Tensor:
    if recipe.live_dims is not None:
        lengths = torch.full((recipe.dims,), recipe.floor, dtype=torch.float64)
        lengths[: recipe.live_dims] = 1.0
        rows = (rows @ axes * lengths) @ axes.T
    return (recipe.shrink * rows + recipe.offset * axes[:, 0]).float()
