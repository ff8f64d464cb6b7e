"""The published linear classifiers on features that are extracted once: the same schedule, no augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.config.training import TrainSettings
from repdiag.data.counter_rng import permutation
from repdiag.downstream.classifier import linear_layer
from repdiag.downstream.frozen import FrozenSettings
from repdiag.downstream.labelled_features import LabelledFeatures, class_numbers, scaled
from repdiag.downstream.measures import measured
from repdiag.downstream.outcome import Outcome
from repdiag.downstream.trained import Init
from repdiag.methods.base import Clock
from repdiag.training.optimizers import build_optimizer, set_rates
from repdiag.training.run_state import seed_everything
from repdiag.training.step import rates_at


def train_on_rows(
    rows: Tensor, truth: Tensor, settings: TrainSettings, *, classes: int, init: Init
) -> Iterator[nn.Linear]:
    """Yield the classifier after every epoch (one object, which goes on learning).

    Order and start depend on the seed alone; a last batch that is not full is left out, as the training loop does.
    """
    batch = min(settings.loop.batch_size, len(rows))
    settings = settings.changed(loop={"batch_size": batch})
    seed_everything(settings.loop.seed, "weights")
    layer = linear_layer(rows.shape[1], classes, init=init).to(rows.device)
    optimizer = build_optimizer(layer, settings.optimizer, lr=settings.optimizer.lr)
    per_epoch, epochs = len(rows) // batch, settings.schedule.epochs
    step = 0
    for epoch in range(epochs):
        order = permutation(len(rows), purpose="order", seed=settings.loop.seed, number=epoch)
        for index in torch.from_numpy(order[: per_epoch * batch]).view(per_epoch, batch).to(rows.device):
            rates = rates_at(Clock(step, per_epoch * epochs, per_epoch), settings)
            set_rates(optimizer, lr=rates.lr, weight_decay=rates.weight_decay)
            optimizer.zero_grad()
            F.cross_entropy(layer(rows[index]), truth[index]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        yield layer


def cached_probe(features: LabelledFeatures, settings: FrozenSettings) -> Outcome:
    """Train a classifier on features that were extracted once and ask every epoch's about test; the last one counts."""
    train, test = features.train, features.test
    known, asked, classes = class_numbers(torch.as_tensor(train.labels), torch.as_tensor(test.labels))
    rows, queries = (one.float() for one in scaled(train.features, test.features, settings.rows))
    run = settings.schedule_settings()
    trained = train_on_rows(rows, known, run, classes=classes, init=settings.init)
    outcome = of_epochs(
        (layer(queries).detach() for layer in trained), asked, settings, dataset=test.provenance.dataset
    )
    crops = "none: features of train extracted once, as test images are read"
    notes: tuple[str, ...] = ()
    if len(rows) < settings.batch_size:
        notes = (f"a batch of {settings.batch_size} is more than the {len(rows)} train images: all of them are one",)
    return replace(outcome, details={"augmentation": crops}, notes=notes)


def of_epochs(epochs: Iterator[Tensor], asked: Tensor, settings: FrozenSettings, *, dataset: str) -> Outcome:
    """Return what the last epoch's logits [N, C] are worth; the best epoch on test stands beside it."""
    shares: list[float] = []
    last = torch.empty(0)
    for last in epochs:
        shares.append(float((last.argmax(dim=1) == asked).double().mean()))
    best = max(range(len(shares)), key=shares.__getitem__)
    said = {
        "batch_norm": "running statistics, the backbone frozen",
        "selection": "none: the last epoch counts; the best on test stands beside it and is no result",
        "epochs": settings.epochs_in_words(),
        "last_epoch": shares[-1],
        "best_on_test": {"top1": shares[best], "epoch": best + 1, "a_result": False},
    }
    return Outcome(**measured(last, asked, settings, dataset=dataset), said=said)
