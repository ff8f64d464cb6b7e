"""The classifier that a file brings is held against the user's labels, and chance is called chance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder
from repdiag.checkpoints.load import load_encoder
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.workflows.classifier_check import classifier_note

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
