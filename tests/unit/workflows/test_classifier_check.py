"""The classifier that a file brings is held against the user's labels, and chance is called chance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import repdiag
from repdiag.checkpoints.encoder import Encoder
from repdiag.checkpoints.load import load_encoder
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.diagnosis.diagnose import judge
from repdiag.workflows.classifier_check import classifier_findings, classifier_note, classifier_top1

CLASSES, ROWS = 5, 200
LABELS = torch.arange(ROWS) % CLASSES


def encoder_with(weight: Tensor) -> Encoder:
    found: Any = load_encoder(nn.Flatten(), image_size=2)
    found.classifier = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    found.classifier.weight.data = weight
    return found


def rows(labels: Tensor = LABELS) -> EmbeddingSet:
    names = tuple("abcde")
    return EmbeddingSet(features=torch.eye(CLASSES)[LABELS], labels=labels, class_names=names)


def test_a_classifier_that_knows_the_images_is_said_with_chance() -> None:
    weight = torch.eye(CLASSES)
    weight[0, 1] = 2.0  # the 40 rows of class 1 are given class 0
    (line,) = classifier_note(encoder_with(weight), rows())
    assert "right on 80.0% of 200 val images" in line
    assert "chance is" in line


@pytest.mark.parametrize("weight", [torch.zeros(CLASSES, CLASSES), torch.randn(CLASSES, CLASSES) * 0])
def test_chance_is_said_with_what_may_be_wrong(weight: Tensor) -> None:
    (line,) = classifier_note(encoder_with(weight), rows())  # all rows are given class 0: 40 of 200 are right
    assert "right on 20.0% of 200 val images, which is chance (20.0%)" in line
    assert "--mean" in line
    assert "--branch" in line


def test_another_order_of_the_classes_is_told_from_wrong_images() -> None:
    (line,) = classifier_note(encoder_with(torch.eye(CLASSES).roll(1, 0)), rows())
    assert "right on 0.0% of 200 val images, but on 100.0% with the classes in another order" in line


@pytest.mark.parametrize(
    ("weight", "labels"),
    [
        (torch.eye(CLASSES + 1, CLASSES), LABELS),  # as many outputs as the data has not
        (torch.eye(CLASSES), torch.full((ROWS,), -1)),  # unlabelled
        (torch.eye(CLASSES), torch.where(torch.arange(ROWS) < 20, LABELS, -1)),  # too few to tell chance
    ],
)
def test_nothing_is_said_where_nothing_can_be(weight: Tensor, labels: Tensor) -> None:
    assert classifier_note(encoder_with(weight), rows(labels)) == ()
    bare = encoder_with(torch.eye(CLASSES))
    bare.classifier = None
    assert classifier_note(bare, rows()) == ()


def test_a_classifier_at_chance_is_a_finding_and_answers_for_no_overfitting() -> None:
    lost, known = encoder_with(torch.zeros(CLASSES, CLASSES)), encoder_with(torch.eye(CLASSES))
    (found,) = classifier_findings(lost, rows())
    assert (found.code, found.value) == ("RD402", 0.2)
    assert classifier_findings(known, rows()) == ()
    assert classifier_top1(lost, {"val": rows(), "train": rows()}) is None


def test_the_own_classifier_answers_for_the_labels_first() -> None:
    """Right on all train images and on four of five new ones: Wilson's intervals, squared and added."""
    wrong = torch.where(torch.arange(ROWS) % 10 < 2, (LABELS + 1) % CLASSES, LABELS)
    val = EmbeddingSet(features=torch.eye(CLASSES)[wrong], labels=LABELS, class_names=tuple("abcde"))
    top1 = classifier_top1(encoder_with(torch.eye(CLASSES)), {"val": val, "train": rows()})
    assert top1 is not None
    assert (top1.train, top1.val) == ((200, 200), (160, 200))
    assert top1.gap.value == pytest.approx(0.2)
    z2 = 1.959964**2
    low_train = 1 / (1 + z2 / 200)  # Wilson's lower end of 200 of 200
    high_val = (0.8 + z2 / 400 + 1.959964 * (0.16 / 200 + z2 / 160_000) ** 0.5) / (1 + z2 / 200)
    assert top1.gap.low == pytest.approx(0.2 - ((1 - low_train) ** 2 + (high_val - 0.8) ** 2) ** 0.5, abs=1e-4)
    table = repdiag.evaluate(val, ["precision_at_1", "mean_cosine"])
    found = judge(table, top1=top1, trained_with_labels=True).overfitting
    assert found.kinds == ("labels",)
    assert "own classifier" in found.summary
