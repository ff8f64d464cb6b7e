"""Linear probes on features, solved to their optimum: `linear` and `kornblith`."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from repdiag.downstream.held_out import held_out_rows
from repdiag.downstream.labelled_features import LabelledFeatures, class_numbers, scaled
from repdiag.downstream.measures import measured
from repdiag.downstream.outcome import Outcome
from repdiag.downstream.protocol import AboveZero, FeatureSettings, Positive, Protocol, Share
from repdiag.downstream.softmax_regression import SoftmaxRegression

_SUM = "sum"


class LinearSettings(FeatureSettings):
    """Logistic regression by L-BFGS; the penalty is chosen on held-out train images, then all of train is fitted."""

    penalties: tuple[AboveZero, ...] = Field(
        default=tuple(10.0 ** (power / 2) for power in range(-12, 1)), min_length=1
    )
    """Values of lambda in  loss + lambda / 2 ||W||^2  that are tried; the larger of two equally good ones is kept."""
    loss: str = Field(default="mean", pattern="^(mean|sum)$")
    """Whether the loss is the mean over train images or their sum, as scikit-learn's C = 1 / lambda has it."""
    held_out: Share = 0.2
    """Part of each class of train that chooses the penalty."""
    most_steps: Positive = 1000


LINEAR = Protocol(
    name="linear",
    what="linear probe on features: L-BFGS to the optimum, penalty chosen on a fifth of train, refit, test read once",
    source="repdiag",
    settings=LinearSettings(rows="standardised"),
)
KORNBLITH = Protocol(
    name="kornblith",
    what="linear transfer: raw features, 45 penalties on a fifth of train, refit on all of it",
    source="Kornblith et al. 2019; ssl-transfer (Ericsson et al. 2021), linear.py",
    settings=LinearSettings(
        rows="raw",
        penalties=tuple(10.0 ** (-6.0 + power / 4) for power in range(45)),
        loss=_SUM,
        most_steps=200,
        crop="whole",
        interpolation="bicubic",
    ),
)


def linear_probe(features: LabelledFeatures, settings: LinearSettings) -> Outcome:
    """Return the accuracy on test of the classifier of train, and the curve that chose its penalty."""
    train, test = features.train, features.test
    known, asked, classes = class_numbers(_labels(train.labels), _labels(test.labels))
    rows, queries = scaled(train.features, test.features, settings.rows)
    penalty, curve, converged = _chosen(rows, known, classes, settings)
    classifier = _regression(rows, known, classes, settings).fit(_of_mean(penalty, len(rows), settings))
    logits = classifier.logits(queries)
    edges = {min(settings.penalties), max(settings.penalties)} if len(settings.penalties) > 1 else set()
    notes: list[str] = []
    if penalty in edges:
        notes.append(f"the penalty {penalty:g} is the last one tried: --set penalties=[...] tries others")
    if not (converged and classifier.converged):
        notes.append(f"a fit did not reach its optimum in {settings.most_steps} steps: --set most_steps=N")
    share = f"{100 * settings.held_out:g} % of each class of train"
    said = {
        "selection": f"penalty by accuracy on {share}, refit on all of train; test read once",
        "epochs": "none: solved to the optimum",
    }
    return Outcome(
        **measured(logits, asked, settings, dataset=test.provenance.dataset),
        said=said,
        details={"penalty": penalty, "held_out_accuracy": curve, "converged": converged and classifier.converged},
        notes=tuple(notes),
    )


def _chosen(
    rows: Tensor, known: Tensor, classes: int, settings: LinearSettings
) -> tuple[float, dict[str, float], bool]:
    """Return the penalty, the held-out accuracy of each, and whether all fits reached their optimum."""
    if len(settings.penalties) == 1:
        return settings.penalties[0], {}, True
    held = held_out_rows(known, settings.held_out, seed=settings.seed)
    if not bool(held.any()):
        middle = sorted(settings.penalties)[len(settings.penalties) // 2]
        return middle, {}, True
    fitted = _regression(rows[~held], known[~held], classes, settings)
    curve: dict[float, float] = {}
    converged = True
    found = None
    for penalty in sorted(settings.penalties, reverse=True):  # the stronger a penalty, the sooner it is solved
        found = fitted.fit(_of_mean(penalty, int((~held).sum()), settings), near=found)
        converged &= found.converged
        curve[penalty] = float((found.logits(rows[held]).argmax(dim=1) == known[held]).double().mean())
    best = max(curve.values())
    chosen = max(penalty for penalty, accuracy in curve.items() if accuracy == best)
    return chosen, {f"{penalty:g}": accuracy for penalty, accuracy in curve.items()}, converged


def _regression(rows: Tensor, known: Tensor, classes: int, settings: LinearSettings) -> SoftmaxRegression:
    return SoftmaxRegression(rows, known, classes=classes, most_steps=settings.most_steps)


def _of_mean(penalty: float, count: int, settings: LinearSettings) -> float:
    return penalty / count if settings.loss == _SUM else penalty


def _labels(labels: object) -> Tensor:
    assert isinstance(labels, torch.Tensor)
    return labels
