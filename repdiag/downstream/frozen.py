"""Linear classifiers trained by mini-batches on a frozen backbone: the published linear probes."""

from __future__ import annotations

from typing import Literal

from repdiag.downstream.protocol import Protocol
from repdiag.downstream.trained import TrainedSettings


class FrozenSettings(TrainedSettings):
    """The backbone stays as it is, batch norm with its running statistics; the last epoch counts."""

    augmentation: Literal["crops", "none"] = "crops"
    """"none" extracts the features of train once, as test images are read, and trains on these: quicker, and another
    protocol."""


_STEPS = {"schedule": "steps", "milestones": (60, 80)}

MOCO_LINCLS = Protocol(
    name="moco-lincls",
    what="linear classifier on crops: SGD 30, 100 epochs, x .1 after 60 and 80, raw features",
    source="He et al. 2020; moco, main_lincls.py",
    settings=FrozenSettings.model_validate({"lr": 30.0, "crop": "classic", "interpolation": "bilinear", **_STEPS}),
)
SSLIGHT_LINEAR = Protocol(
    name="sslight-linear",
    what="linear classifier on crops: LARS .05 x batch / 256 of 4096, 100 epochs, cosine to 1e-6 by epochs, bicubic",
    source="SSLight, cls_trainer.py",
    settings=FrozenSettings(
        optimizer="lars",
        lr=0.05,
        lr_batch=256,
        batch_size=4096,
        final_lr=1e-6,
        crop="classic",
        interpolation="bicubic",
        train_interpolation="bicubic",
    ),
)
SIMCLR_LINEAR = Protocol(
    name="simclr-linear",
    what="linear classifier on crops: SGD .1 x batch / 256, 90 epochs, cosine, torch's own start",
    source="Chen et al. 2020, as lightly has it: benchmarks/imagenet/resnet50",
    settings=FrozenSettings(
        lr=0.1, lr_batch=256, epochs=90, init="torch", crop="classic", interpolation="bilinear", changes="every step"
    ),
)
SWAV_LINEAR = Protocol(
    name="swav-linear",
    what="linear classifier on crops: SGD .3, decay 1e-6, 100 epochs, cosine, normalised with .228 for red",
    source="Caron et al. 2020; swav, eval_linear.py",
    settings=FrozenSettings(
        lr=0.3, weight_decay=1e-6, std=(0.228, 0.224, 0.225), crop="classic", interpolation="bilinear"
    ),
)
SHI_TRANSFER_LINEAR = Protocol(
    name="shi-transfer-linear",
    what="linear transfer on rows of length 1: SGD 1.5, 60 epochs, x .1 after 40, bicubic crops of at least 60 %",
    source="Shi et al. 2022; ssl-small, main_transfer.py",
    settings=FrozenSettings(
        rows="unit",
        lr=1.5,
        epochs=60,
        schedule="steps",
        milestones=(40,),
        crop_scale=(0.6, 1.0),
        train_interpolation="bicubic",
        crop="classic, whole if tiny",
        interpolation="bicubic",
    ),
)
COMPRESS_LINEAR = Protocol(
    name="compress-linear",
    what="linear classifier on standardised rows of length 1: SGD .01, decay 1e-4, 40 epochs, x .1 after 15 and 30",
    source="Koohpayegani et al. 2020 (CompRess), SimReg; on features that are extracted once",
    settings=FrozenSettings(
        rows="unit, standardised",
        augmentation="none",
        lr=0.01,
        weight_decay=1e-4,
        epochs=40,
        schedule="steps",
        milestones=(15, 30),
        crop="classic",
        interpolation="bilinear",
    ),
)
FROZEN = (MOCO_LINCLS, SSLIGHT_LINEAR, SIMCLR_LINEAR, SWAV_LINEAR, SHI_TRANSFER_LINEAR, COMPRESS_LINEAR)
