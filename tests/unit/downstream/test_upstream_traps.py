"""Where published downstream code does not do what it seems to do: which side of it a preset takes.

Others have their tests beside the code: batch norm of Shi's fine-tuning, the kept head, subsets by file name in
test_training_protocols; VOC's eleven points and pycocotools' thresholds in test_golden_average_precision; two maps of
one stride in test_dense_protocols; Caltech's parts in test_transfer_datasets.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import repdiag
from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.data.datasets import open_dataset
from repdiag.downstream.classifier import EncoderClassifier
from repdiag.downstream.fine_tuning import FineTuneSettings
from repdiag.downstream.labelled_features import Machine
from repdiag.downstream.last_blocks import LastBlocksSettings, blocks_encoder
from repdiag.downstream.on_images import Place, probe_images
from repdiag.downstream.presets import get_protocol
from repdiag.downstream.trained import TrainedSettings

QUICK = {
    "kornblith": {"penalties": (1e-2, 1.0, 1e2)},
    "voc-svm": {"costs": (0.1, 1.0)},
    "dino-blocks": {"steps_per_epoch": 20, "blocks": (1,), "tokens": ("class",)},
}
CHOICES = ("held_out_accuracy", "penalty", "costs", "chosen")


def pooling(std: tuple[float, ...] = IMAGENET_STD) -> repdiag.Encoder:
    """The mean of each channel, so that features are the normalised images themselves."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return repdiag.load_encoder(network, image_size=8, mean=IMAGENET_MEAN, std=std)


def trained_settings(name: str) -> TrainedSettings:
    found = get_protocol(name).settings
    assert isinstance(found, TrainedSettings)
    return found


def clouds(rows: int, *, spread: float, seed: int) -> EmbeddingSet:
    draws, labels = np.random.default_rng(seed), np.arange(rows) % 3
    return EmbeddingSet(features=2.0 * np.eye(8)[labels] + spread * draws.normal(size=(rows, 8)), labels=labels)


@pytest.mark.parametrize(
    ("name", "of_length_one"),
    [("shi-transfer-linear", True), ("shi-transfer-finetune", True), ("moco-lincls", False), ("semi-1", False)],
)
def test_shis_transfer_classifies_directions_and_the_imagenet_probe_does_not(name: str, of_length_one: bool) -> None:
    settings = trained_settings(name)
    method = EncoderClassifier(pooling(), settings, classes=4, rows=settings.rows)
    features = torch.rand(5, 3) + 0.5
    with torch.no_grad():
        once, twice = method.logits(features), method.logits(2.0 * features)
    assert torch.allclose(once, twice, atol=1e-6) == of_length_one


def test_sslight_fine_tunes_behind_the_projection_head_and_swav_without_it() -> None:
    kept = {name: trained_settings(name) for name in ("sslight-semi-1", "sslight-semi-10", "semi-1", "semi-10")}
    assert {name: one.keep_head for name, one in kept.items() if isinstance(one, FineTuneSettings)} == {
        "sslight-semi-1": True,
        "sslight-semi-10": True,
        "semi-1": False,
        "semi-10": False,
    }


@pytest.mark.parametrize("name", QUICK)
def test_a_test_set_of_noise_changes_no_choice(name: str) -> None:
    """Published code takes the best of many heads on test where it has no other set; ours never asks it."""
    train = clouds(90, spread=1.5, seed=1)
    found = [
        repdiag.probe(clouds(60, spread=spread, seed=9), bank=train, protocol=name, settings=QUICK[name])
        for spread in (0.1, 9.0)
    ]
    one, other = ({key: probed.row.extra[key] for key in CHOICES if key in probed.row.extra} for probed in found)
    assert one
    assert one == other
    assert found[0].value > found[1].value


def test_the_last_blocks_of_a_transformer_are_read_from_the_network_itself() -> None:
    """Each block's class token after the final norm, the last one first; a network that is given, not named, too."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    network = VisionTransformer(img_size=16, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=0).eval()
    settings = LastBlocksSettings(blocks=(2,))
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        read = blocks_encoder(repdiag.load_encoder(network, image_size=16), settings).backbone(images)
        tokens = network.forward_features(images)
    assert read.shape == (3, 4 * 16)
    assert torch.allclose(read[:, :16], tokens[:, 0], atol=1e-6)
    assert torch.allclose(read[:, 32:48], tokens[:, 1:].mean(dim=1), atol=1e-6)


@pytest.mark.parametrize(("std", "read_by"), [(IMAGENET_STD, 0.228), ((0.5, 0.5, 0.5), 0.5)])
def test_swav_normalises_red_by_228_where_the_encoder_is_read_with_imagenets(
    std: tuple[float, ...], read_by: float, tmp_path: Path
) -> None:
    settings = trained_settings("swav-linear").model_copy(update={"augmentation": "none", "epochs": 1})
    train, test = (open_dataset("digits", split).limited(60) for split in ("train", "val"))
    machine, place = Machine(cache=False), Place(folder=tmp_path, spec="digits")
    outcome, rows = probe_images(pooling(std), settings, train=train, test=test, machine=machine, place=place)
    assert f"std ({read_by}" in outcome.details["normalisation"]
    red, green = (rows.features[:, channel] for channel in (0, 1))  # the digits are grey: both have the same levels
    assert torch.allclose(red * read_by + IMAGENET_MEAN[0], green * std[1] + IMAGENET_MEAN[1], atol=1e-5)


def test_the_svm_meets_no_warning_of_scikit_learn() -> None:
    """Recipes written for older versions pass arguments that new ones refuse or are about to drop."""
    train, test = clouds(60, spread=0.5, seed=1), clouds(30, spread=0.5, seed=2)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        repdiag.probe(test, bank=train, protocol="voc-svm", settings=QUICK["voc-svm"])
    assert [str(one.message) for one in met] == []
