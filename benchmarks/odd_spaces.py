"""Spaces that mixtures of round islands are not: tails, hierarchies, copies, rings, cones, quantised and noisy rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor

OVER, NOT, UNDER, OPEN = "over-clustered", "not over-clustered", "under-clustered", "inconclusive"
Space = tuple[Tensor, Tensor]
Noise = Callable[[int, int, Generator], Tensor]


def normal(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return noise of unit length on average."""
    return torch.randn(rows, dims, generator=draw) / math.sqrt(dims)


def student(freedom: int) -> Noise:
    """Return noise whose rows have Student's t tails: one common factor a row, so that whole rows lie far out."""

    def noise(rows: int, dims: int, draw: Generator) -> Tensor:
        chi = torch.randn(rows, freedom, generator=draw).square().mean(1, keepdim=True)
        return normal(rows, dims, draw) / chi.sqrt()

    return noise


def anisotropic(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return noise whose variance falls as 1 / i over the dimensions."""
    widths = torch.arange(1, dims + 1).float().rsqrt()
    return normal(rows, dims, draw) * widths * math.sqrt(dims / float(widths.square().sum()))


def islands(
    sizes: Sequence[int], *, number: int, dims: int, draw: Generator, noise: Noise = normal, within: float = 0.4
) -> Space:
    """Return classes of these sizes, each in `number` islands that lie anywhere."""
    rows, labels = [], []
    for label, size in enumerate(sizes):
        centres = normal(number, dims, draw)
        rows.append(centres[torch.arange(size) % number] + within * noise(size, dims, draw))
        labels.append(torch.full((size,), label))
    return torch.cat(rows), torch.cat(labels)


def hierarchy(*, tops: int, subs: int, size: int, dims: int, draw: Generator, coarse: bool) -> Space:
    """Return groups of kindred islands; the labels name the groups (`coarse`) or the islands."""
    tree = normal(tops, dims, draw)[:, None] + 0.6 * normal(tops * subs, dims, draw).reshape(tops, subs, dims)
    at = torch.arange(tops * subs).repeat_interleave(size)
    return tree.reshape(-1, dims)[at] + 0.15 * normal(len(at), dims, draw), at // subs if coarse else at


def rings(*, classes: int, size: int, dims: int, draw: Generator, apart: float) -> Space:
    """Return a ring for each class, in a plane of its own; centres `apart` radii from the origin."""
    rows = []
    for _ in range(classes):
        angle = 2 * math.pi * torch.rand(size, generator=draw)
        plane, centre = normal(2, dims, draw), apart * normal(1, dims, draw)
        rows.append(centre + torch.stack([angle.cos(), angle.sin()], 1) @ plane + 0.05 * normal(size, dims, draw))
    return torch.cat(rows), torch.arange(classes).repeat_interleave(size)


def in_sectors(*, classes: int, size: int, dims: int, draw: Generator) -> Space:
    """Return one round cloud cut into classes by the direction that a row lies nearest to: no islands anywhere."""
    rows = normal(classes * size, dims, draw)
    return rows, (rows @ normal(classes, dims, draw).T).argmax(1)


def odd_spaces(seed: int) -> Iterator[tuple[str, Space, tuple[str, ...]]]:
    """Yield each space with the answers that are right; where two are, the space does not say which."""
    draw = torch.Generator().manual_seed(seed)
    for number, right in ((1, NOT), (4, OVER)):
        said = "one island" if number == 1 else f"{number} islands"
        for freedom in (3, 5):
            space = islands([80] * 10, number=number, dims=64, draw=draw, noise=student(freedom), within=0.25)
            yield f"heavy tails (t, {freedom} degrees of freedom), {said}", space, (right,)
        tail = [400, 200, 100, 60, 40, 30, 24, 20, 16]
        yield f"long-tailed classes of 400 to 16, {said}", islands(tail, number=number, dims=64, draw=draw), (right,)
        rows, labels = islands([60] * 10, number=number, dims=64, draw=draw)
        yield f"half the rows exact copies, {said}", halved(rows, labels, draw), (right,)
        rows, labels = islands([60] * 10, number=number, dims=256, draw=draw, noise=anisotropic)
        yield f"anisotropic cone, {said}", (rows + 2.0 * normal(1, 256, draw), labels), (right,)
        rows, labels = islands([60] * 10, number=number, dims=64, draw=draw)
        yield f"features rounded to int8, {said}", (quantised(rows), labels), (right,)
        yield f"features after a ReLU, {said}", (rows.relu(), labels), (right,)
        far = torch.rand(len(rows), generator=draw) < 0.05
        strewn = torch.where(far[:, None], 3 * normal(len(rows), 64, draw), rows)
        yield f"5 % of the rows anywhere, {said}", (strewn, labels), (right,)
        wrong = torch.rand(len(rows), generator=draw) < 0.1
        noisy = torch.where(wrong, torch.randint(10, (len(rows),), generator=draw), labels)
        yield f"10 % of the labels at random, {said}", (rows, noisy), (right,)
        small = islands([8] * 12, number=min(number, 2), dims=2048, draw=draw)
        yield f"2048 dimensions, classes of 8, {1 if number == 1 else 2} islands", small, (right, OPEN)
    for coarse, right in ((False, NOT), (True, OVER)):
        space = hierarchy(tops=5, subs=4, size=30, dims=64, draw=draw, coarse=coarse)
        yield f"hierarchy, labels of the {'upper' if coarse else 'lower'} level", space, (right,)
    yield "40 classes of 5", islands([5] * 40, number=1, dims=128, draw=draw), (NOT, OPEN)
    yield "rings, far apart", rings(classes=8, size=80, dims=64, draw=draw, apart=3.0), (NOT, OPEN)
    # Scattered by every sign but for islands: whether a ring among rings is over-clustered is a matter of words.
    yield "rings, through one another", rings(classes=8, size=80, dims=64, draw=draw, apart=0.2), (OVER, OPEN)
    yield "one cloud, classes are its sectors", in_sectors(classes=8, size=80, dims=16, draw=draw), (NOT, OPEN)


def halved(rows: Tensor, labels: Tensor, draw: Generator) -> Space:
    """Return the rows with a half of them replaced by copies of rows of their class."""
    chosen = torch.arange(len(rows))
    for label in torch.unique(labels):
        mine = (labels == label).nonzero().flatten()
        mine = mine[torch.randperm(len(mine), generator=draw)]
        half = len(mine) // 2
        chosen[mine[:half]] = mine[half : 2 * half]
    return rows[chosen], labels


def quantised(rows: Tensor) -> Tensor:
    """Return the rows in 255 steps between the extremes of all."""
    return torch.round(rows / rows.abs().max() * 127)
