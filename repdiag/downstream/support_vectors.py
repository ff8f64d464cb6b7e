"""`voc-svm`: one linear support vector machine a class on features, as the field scores VOC 2007."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.downstream.labelled_features import LabelledFeatures, class_numbers, scaled
from repdiag.downstream.measures import average_precision_score, eleven_point_precision
from repdiag.downstream.outcome import Outcome
from repdiag.downstream.protocol import AboveZero, FeatureSettings, Positive, Protocol


class SupportVectorSettings(FeatureSettings):
    """Squared hinge loss, the cost of each class chosen by average precision in cross-validation on train."""

    costs: tuple[AboveZero, ...] = Field(default=tuple(10.0 ** (-2 + half / 2) for half in range(11)), min_length=1)
    folds: Positive = 3
    positive_weight: AboveZero = 2.0
    """Weight of images that show a class, against 1 for those that do not."""
    most_steps: Positive = 2000


VOC_SVM = Protocol(
    name="voc-svm",
    what="one linear SVM a class on rows of length 1, cost by 3-fold cross-validation; 11-point mAP",
    source="Goyal et al. 2019; vissl, svm_trainer.py",
    settings=SupportVectorSettings(rows="unit", crop="squash", measure="map_11_point"),
)


def support_vectors(features: LabelledFeatures, settings: SupportVectorSettings) -> Outcome:
    """Return the 11-point mAP on test of one classifier a class that train shows."""
    train, test = features.train, features.test
    known, asked = _shown(features)
    rows, queries = (one.cpu().numpy() for one in scaled(train.features, test.features, settings.rows))
    scores, costs, unfinished = [], {}, 0
    fitted = [label for label in range(known.shape[1]) if settings.folds <= known[:, label].sum() < len(known)]
    if not fitted:
        found = f"{known.shape[1]} classes of {len(known)} train images"
        raise DataError("no class has enough train images for cross-validation", found=found)
    for label in fitted:
        cost = _cost(rows, known[:, label], settings)
        model, finished = _fit(rows, known[:, label], cost, settings)
        unfinished += not finished
        costs[train.class_name(label) if train.class_names else str(label)] = cost
        scores.append(torch.from_numpy(model.decision_function(queries)))
    score = average_precision_score(torch.stack(scores, dim=1), torch.from_numpy(asked[:, fitted]), seed=settings.seed)
    left = known.shape[1] - len(fitted)
    notes = [f"{left} classes have too few train images for {settings.folds} folds and are left out"] if left else []
    if unfinished:
        notes.append(f"{unfinished} classifiers did not reach their optimum: --set most_steps=N")
    tried = f"cost among {len(settings.costs)} by {settings.folds}-fold cross-validation on train, refit on all of it"
    said = {"selection": tried, "epochs": "none: solved to the optimum"}
    return Outcome(scores=(score,), said=said, details={"costs": costs}, notes=tuple(notes))


def _shown(features: LabelledFeatures) -> tuple[Any, Any]:
    """Return which classes every image of train and test shows: [N, C] and [M, C]."""
    train, test = features.train, features.test
    if isinstance(train.label_matrix, Tensor) and isinstance(test.label_matrix, Tensor):
        return (train.label_matrix != 0).numpy(), (test.label_matrix != 0).numpy()
    assert isinstance(train.labels, Tensor)
    assert isinstance(test.labels, Tensor)
    known, asked, classes = class_numbers(train.labels, test.labels)
    own = np.arange(classes)
    return known.cpu().numpy()[:, None] == own, asked.cpu().numpy()[:, None] == own


def _cost(rows: Any, has: Any, settings: SupportVectorSettings) -> float:
    if len(settings.costs) == 1:
        return settings.costs[0]
    from sklearn.model_selection import StratifiedKFold

    folds = list(StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed).split(rows, has))
    found = {}
    for cost in sorted(settings.costs):
        each = []
        for kept, held in folds:
            model, _ = _fit(rows[kept], has[kept], cost, settings)
            each.append(eleven_point_precision(model.decision_function(rows[held]), has[held]))
        found[cost] = float(np.mean(each))
    best = max(found.values())
    return min(cost for cost, precision in found.items() if precision == best)


def _fit(rows: Any, has: Any, cost: float, settings: SupportVectorSettings) -> tuple[Any, bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    model = LinearSVC(
        C=cost,
        loss="squared_hinge",
        dual=len(rows) < rows.shape[1],
        class_weight={True: settings.positive_weight, False: 1.0},
        max_iter=settings.most_steps,
        random_state=settings.seed,
    )
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(rows, has)
    return model, not any(issubclass(one.category, ConvergenceWarning) for one in met)
