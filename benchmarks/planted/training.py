"""Plain loops that train a small network: by labels, by SimCLR, SwAV or DINO, or into a collapse."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from benchmarks.planted.images import Images
from benchmarks.planted.views import light_view, normalised, random_view
from repdiag.losses.info_nce import info_nce
from repdiag.losses.nt_xent import nt_xent_logits
from repdiag.losses.sinkhorn import sinkhorn
from repdiag.losses.soft_cross_entropy import soft_cross_entropy
from repdiag.models.momentum import momentum_copy, update_momentum
from repdiag.models.prototypes import Prototypes

OUTPUTS, PROJECTION, PROTOTYPES = 64, 64, 100
PER_STEP = 128


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast: `lr` is Adam's at its top, after a short rise and before a cosine's fall."""

    epochs: int
    lr: float
    seed: int
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


Step = Callable[[Tensor, Tensor], Tensor]
"""From two batches of views to a loss."""


def train_by_labels(
    network: nn.Module, images: Images, targets: Tensor, schedule: Schedule, *, augment: bool, width: int
) -> nn.Module:
    """Train with a linear classifier of `targets`, and return the classifier."""
    classifier = nn.Linear(width, int(targets.max()) + 1)
    generator = torch.Generator().manual_seed(schedule.seed)

    def losses() -> Iterator[Tensor]:
        for rows in _batches(len(images), schedule, generator):
            pixels = images.pixels[rows]
            if augment:
                pixels = light_view(pixels, generator, flip=schedule.flip)
            logits = classifier(network(normalised(pixels, schedule.mean, schedule.std)))
            yield F.cross_entropy(logits, targets[rows])

    _descend([network, classifier], losses(), schedule, steps=_steps(len(images), schedule))
    return classifier


def train_by_views(
    network: nn.Module, images: Images, schedule: Schedule, *, method: str, temperature: float, width: int
) -> None:
    """Train by SimCLR, SwAV or DINO; "align" pulls views together and pushes nothing apart, so that all collapse."""
    generator = torch.Generator().manual_seed(schedule.seed)
    hidden = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, PROJECTION))
    parts: list[nn.Module] = [network, hidden]
    after: Callable[[], None] | None = None
    if method == "swav":
        prototypes = Prototypes(PROJECTION, PROTOTYPES)
        parts.append(prototypes)
        step, after = _swav(network, hidden, prototypes, temperature), prototypes.normalize
    elif method == "dino":
        step, after = _dino(network, hidden, temperature)
    else:
        step = _simclr(network, hidden, temperature) if method == "simclr" else _align(network)

    def losses() -> Iterator[Tensor]:
        for rows in _batches(len(images), schedule, generator):
            pixels = images.pixels[rows]
            first, second = (
                normalised(random_view(pixels, generator, flip=schedule.flip), schedule.mean, schedule.std)
                for _ in range(2)
            )
            yield step(first, second)

    _descend(parts, losses(), schedule, steps=_steps(len(images), schedule), after=after)


def _simclr(network: nn.Module, hidden: nn.Module, temperature: float) -> Step:
    def step(first: Tensor, second: Tensor) -> Tensor:
        one, two = F.normalize(hidden(network(torch.cat([first, second]))), dim=1).chunk(2)
        return info_nce(nt_xent_logits(one, two, temperature=temperature))

    return step


def _swav(network: nn.Module, hidden: nn.Module, prototypes: Prototypes, temperature: float) -> Step:
    def step(first: Tensor, second: Tensor) -> Tensor:
        one, two = prototypes(F.normalize(hidden(network(torch.cat([first, second]))), dim=1)).chunk(2)
        loss = torch.zeros(())
        for here, there in ((one, two), (two, one)):
            target = sinkhorn(here.detach(), epsilon=0.05, iterations=3)
            loss = loss + 0.5 * soft_cross_entropy(there / temperature, target)
        return loss

    return step


def _dino(network: nn.Module, hidden: nn.Module, temperature: float) -> tuple[Step, Callable[[], None]]:
    teachers = momentum_copy(network), momentum_copy(hidden)
    centre = torch.zeros(OUTPUTS)

    def step(first: Tensor, second: Tensor) -> Tensor:
        both = torch.cat([first, second])
        with torch.no_grad():
            seen = teachers[1](teachers[0](both))
            targets = ((seen - centre) / 0.04).softmax(1).chunk(2)
            centre.lerp_(seen.mean(0), 0.1)
        one, two = (hidden(network(both)) / temperature).chunk(2)
        return 0.5 * (soft_cross_entropy(one, targets[1]) + soft_cross_entropy(two, targets[0]))

    def after() -> None:
        for teacher, student in zip(teachers, (network, hidden), strict=True):
            update_momentum(teacher, student, momentum=0.99)

    return step, after


def _align(network: nn.Module) -> Step:
    def step(first: Tensor, second: Tensor) -> Tensor:
        one, two = F.normalize(network(torch.cat([first, second])), dim=1).chunk(2)
        return (one - two).square().sum(1).mean() + (one - one.roll(1, 0)).square().sum(1).mean()

    return step


def _batches(count: int, schedule: Schedule, generator: Generator) -> Iterator[Tensor]:
    size = min(PER_STEP, count)
    for _ in range(schedule.epochs):
        order = torch.randperm(count, generator=generator)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


def _steps(count: int, schedule: Schedule) -> int:
    return schedule.epochs * (count // min(PER_STEP, count))


def _descend(
    parts: list[nn.Module],
    losses: Iterator[Tensor],
    schedule: Schedule,
    *,
    steps: int,
    after: Callable[[], None] | None = None,
) -> None:
    parameters = [parameter for part in parts for parameter in part.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.lr, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.lr, total_steps=steps + 1, pct_start=0.1)
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rate.step()
        if after is not None:
            after()
    for part in parts:
        part.eval()


def frozen_copy(network: nn.Module) -> nn.Module:
    """Return a copy in eval mode."""
    return copy.deepcopy(network).eval()
