"""Protocols that go on training the whole network, with few labels or all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from repdiag.downstream.protocol import AboveZero, Positive, Protocol
from repdiag.downstream.trained import TrainedSettings

BatchNorm = Literal["train", "eval", "first epoch"]


class FineTuneSettings(TrainedSettings):
    """Backbone and classifier learn; `lr` is the backbone's."""

    head_lr: AboveZero | None = None
    """Learning rate of the classifier; None takes the backbone's."""
    labels: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of each class of train that is seen; a smaller share is part of a larger one of the same seed."""
    label_list: Path | None = None
    """A file of image names that are seen instead: SimCLR's 1percent.txt and 10percent.txt for ImageNet."""
    keep_head: bool = False
    """Keep the projection head up to its last layer between backbone and classifier."""
    batch_norm: BatchNorm = "train"
    """Batch norm by batch statistics, by running ones, or by batch statistics in the first epoch alone."""
    steps: Positive | None = None
    """Length in steps, rounded to whole epochs, instead of `epochs`."""


def _swav(name: str, labels: float, *, lr: float, head_lr: float) -> Protocol:
    return Protocol(
        name=name,
        what=f"fine-tuning on {100 * labels:g} % of the labels: SGD {lr:g}, classifier {head_lr:g}, 20 epochs, x .2 "
        "after 12 and 16",
        source="Caron et al. 2020; swav, eval_semisup.py",
        settings=FineTuneSettings(
            labels=labels,
            lr=lr,
            head_lr=head_lr,
            epochs=20,
            schedule="steps",
            milestones=(12, 16),
            factor=0.2,
            std=(0.228, 0.224, 0.225),
            crop="classic",
            interpolation="bilinear",
        ),
    )


def _sslight(name: str, labels: float, *, epochs: int) -> Protocol:
    return Protocol(
        name=name,
        what=f"fine-tuning on {100 * labels:g} % of the labels behind the projection head: Nesterov .03 x batch / 256 "
        f"of 1024, {epochs} epochs, cosine",
        source="SSLight, cls_trainer.py",
        settings=FineTuneSettings(
            labels=labels,
            keep_head=True,
            lr=0.03,
            lr_batch=256,
            nesterov=True,
            batch_size=1024,
            epochs=epochs,
            train_interpolation="bicubic",
            crop="classic",
            interpolation="bicubic",
        ),
    )


FINE_TUNE = Protocol(
    name="fine-tune",
    what="fine-tuning on all labels: Nesterov .01, 5000 steps of 64, cosine",
    source="Kornblith et al. 2019; ssl-transfer, finetune.py, whose 20 runs choose lr and weight_decay",
    settings=FineTuneSettings(
        lr=0.01,
        nesterov=True,
        batch_size=64,
        steps=5000,
        changes="every step",
        train_interpolation="bicubic",
        crop="whole",
        interpolation="bicubic",
    ),
)
SHI_TRANSFER_FINETUNE = Protocol(
    name="shi-transfer-finetune",
    what="fine-tuning on rows of length 1: SGD .01, 100 epochs, x .2 after 40 and 70; batch_norm='first epoch' is what "
    "the published code does",
    source="Shi et al. 2022; ssl-small, main_transfer.py, fine-tuning",
    settings=FineTuneSettings(
        rows="unit",
        lr=0.01,
        epochs=100,
        schedule="steps",
        milestones=(40, 70),
        factor=0.2,
        crop_scale=(0.2, 1.0),
        train_interpolation="bicubic",
        crop="classic, whole if tiny",
        interpolation="bicubic",
    ),
)
FINE_TUNING = (
    _swav("semi-1", 0.01, lr=0.02, head_lr=5.0),
    _swav("semi-10", 0.1, lr=0.01, head_lr=0.2),
    _sslight("sslight-semi-1", 0.01, epochs=60),
    _sslight("sslight-semi-10", 0.1, epochs=30),
    FINE_TUNE,
    SHI_TRANSFER_FINETUNE,
)
