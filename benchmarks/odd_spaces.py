"""Spaces that mixtures of round islands are not: tails, hierarchies, copies, rings, cones, quantised and noisy rows.

`odd_spaces` were known while the verdict's rules were made; `unseen_spaces` were thought of afterwards. One of
them, half the classes in islands, changed a rule before any was run.
"""

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


def needles(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return noise that is nine times as wide along one direction as along all others."""
    axis = torch.nn.functional.normalize(torch.randn(1, dims, generator=draw))
    return 0.3 * normal(rows, dims, draw) + 0.9 * torch.randn(rows, 1, generator=draw) @ axis


def by_coordinate(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return noise with Student's t tails, 3 degrees of freedom, in each coordinate by itself."""
    chi = torch.randn(rows, dims, 3, generator=draw).square().mean(2)
    return normal(rows, dims, draw) / chi.sqrt()


def skewed(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return log-normal noise: a steep side and a long one in each coordinate."""
    return torch.randn(rows, dims, generator=draw).exp() / math.sqrt(dims)


def haloed(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return a dense middle with half of the rows in a halo around the same centre."""
    wide = torch.where(torch.rand(rows, 1, generator=draw) < 0.5, 2.0, 0.5)
    return wide * normal(rows, dims, draw)


def ball(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return rows that lie evenly in a ball."""
    return torch.rand(rows, 1, generator=draw).pow(1 / dims) * shell(rows, dims, draw)


def shell(rows: int, dims: int, draw: Generator) -> Tensor:
    """Return rows on a sphere, with nothing inside."""
    return torch.nn.functional.normalize(torch.randn(rows, dims, generator=draw))


def by_row(rows: Tensor, draw: Generator) -> Tensor:
    """Return the rows, each as much longer as a row of Student's t with 3 degrees of freedom."""
    return rows / torch.randn(len(rows), 3, generator=draw).square().mean(1, keepdim=True).sqrt()


def moons(*, classes: int, size: int, number: int, dims: int, draw: Generator) -> Space:
    """Return classes of half rings that lie anywhere, each in a plane of its own."""
    rows = []
    for _ in range(classes * number):
        angle = math.pi * torch.rand(size // number, generator=draw)
        arc = torch.stack([angle.cos(), angle.sin()], 1) @ normal(2, dims, draw)
        rows.append(2.5 * normal(1, dims, draw) + arc + 0.05 * normal(size // number, dims, draw))
    return torch.cat(rows), torch.arange(classes).repeat_interleave(size)


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


def unseen_spaces(seed: int) -> Iterator[tuple[str, Space, tuple[str, ...]]]:
    """Yield spaces that were thought of, with their right answers, before any was run."""
    yield from _unseen_shapes(torch.Generator().manual_seed(seed))
    yield from _unseen_classes(torch.Generator().manual_seed(seed + 1))


def _unseen_shapes(draw: Generator) -> Iterator[tuple[str, Space, tuple[str, ...]]]:
    """Yield classes and islands of other shapes."""
    for number, right in ((1, NOT), (3, OVER)):
        said = "one" if number == 1 else f"{number} of each class"
        for name, noise, dims in (
            ("needles, an axis for each class", needles, 48),
            ("heavy tails in every coordinate (t, 3)", by_coordinate, 24),
            ("skewed (log-normal in every coordinate)", skewed, 32),
            ("a dense middle in a halo four times as wide", haloed, 64),
            ("even balls in 6 dimensions", ball, 6),
            ("hollow shells", shell, 40),
        ):
            space = islands([90] * 7, number=number, dims=dims, draw=draw, noise=noise, within=0.25)
            yield f"{name}, {said}", space, (right,)
    for number, right in ((1, NOT), (2, OVER)):
        said = "one" if number == 1 else "two of each class"
        yield f"half moons, {said}", moons(classes=6, size=120, number=number, dims=20, draw=draw), (right,)
    burst = islands([60] * 8, number=1, dims=64, draw=draw)
    near = burst[0].repeat_interleave(2, dim=0)
    twins = near + 0.01 * normal(len(near), 64, draw), burst[1].repeat_interleave(2)
    yield "one island of near copies, two of each image", twins, (NOT,)


def _unseen_classes(draw: Generator) -> Iterator[tuple[str, Space, tuple[str, ...]]]:
    """Yield classes of other numbers and sizes, and labels that are wrong or that no island matches."""
    rows, labels = islands([70] * 9, number=3, dims=96, draw=draw)
    noisy = torch.where(torch.rand(len(rows), generator=draw) < 0.25, torch.randint(9, (len(rows),), generator=draw), 0)
    yield "a fifth of the labels wrong, 3 islands", (rows, torch.where(noisy > 0, noisy, labels)), (OVER,)
    rows, labels = islands([70] * 9, number=1, dims=96, draw=draw)
    yield "a fifth of the labels wrong, one island", (rows, torch.where(noisy > 0, noisy, labels)), (NOT,)
    yield "2 classes of 15, one island", islands([15] * 2, number=1, dims=64, draw=draw), (NOT, OPEN)
    yield "2 classes of 18, 3 islands", islands([18] * 2, number=3, dims=64, draw=draw), (OVER, OPEN)
    corner = torch.arange(400) % 4
    square = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])[corner]
    yield (
        "opposite corners of a square, 2 dimensions",
        (square + 0.15 * torch.randn(400, 2, generator=draw), corner % 2),
        (OVER,),
    )
    half = islands([80] * 5, number=4, dims=64, draw=draw), islands([80] * 5, number=1, dims=64, draw=draw)
    mixed = torch.cat([half[0][0], half[1][0]]), torch.cat([half[0][1], half[1][1] + 5])
    yield "4 islands of each of half the classes, one of the others", mixed, (OVER,)
    lone = islands([80] * 10, number=1, dims=64, draw=draw)
    two = islands([80], number=2, dims=64, draw=draw)
    yield (
        "two islands of one class of eleven",
        (torch.cat([lone[0], two[0]]), torch.cat([lone[1], two[1] + 10])),
        (
            NOT,
            OPEN,
        ),
    )
    for number, right in ((1, NOT), (5, OVER)):
        rows, labels = islands([40] * 20, number=number, dims=384, draw=draw, noise=anisotropic)
        said = "one island" if number == 1 else f"{number} islands"
        yield (
            f"cone five times as long as the islands are apart, {said}",
            (rows + 5.0 * normal(1, 384, draw), labels),
            (right,),
        )
    rows, labels = islands([200, 150, 100, 80, 60, 40, 30, 20], number=10, dims=64, draw=draw)
    kept = torch.rand(len(rows), generator=draw) < torch.where(torch.arange(len(rows)) % 10 < 8, 1.0, 0.0)
    yield "classes of 160 to 16 in 8 islands", (rows[kept], labels[kept]), (OVER,)
    yield "30 sectors of one cloud, 3 dimensions", in_sectors(classes=30, size=40, dims=3, draw=draw), (NOT, OPEN)
    yield "sectors of 6 rows of one cloud", in_sectors(classes=40, size=6, dims=12, draw=draw), (NOT, OPEN)
    rows, labels = in_sectors(classes=8, size=80, dims=16, draw=draw)
    yield (
        "sectors of a cloud with heavy tails",
        (by_row(rows, draw), labels),
        (
            NOT,
            OPEN,
        ),
    )
    place = torch.rand(600, 1, generator=draw)
    line = normal(1, 32, draw) + 2 * place @ normal(1, 32, draw) + 0.1 * normal(600, 32, draw)
    yield "one line cut into 10 classes", (line, (10 * place[:, 0]).long()), (NOT, OPEN)
    rows, labels = islands([100] * 6, number=1, dims=48, draw=draw, noise=student(3), within=0.25)
    yield "two classes share each heavy-tailed island", (rows, 2 * labels + torch.arange(600) % 2), (UNDER,)
    space = hierarchy(tops=12, subs=3, size=14, dims=128, draw=draw, coarse=True)
    yield "12 classes of three kindred islands of 14", space, (OVER,)


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
