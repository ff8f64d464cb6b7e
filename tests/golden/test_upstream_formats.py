"""Files that the original repositories wrote: recognised without a flag, features as their own code computed them.

The files are too large to ship. Set REPDIAG_UPSTREAM_FORMATS to the folder with index.json and the files, or keep the
archive `upstream-formats.tar.xz` in ../shared/checkpoints beside the checkout.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD
from repdiag.checkpoints.load import load_encoder

ARCHIVE = Path(__file__).parents[3] / "shared" / "checkpoints" / "upstream-formats.tar.xz"
FOLDER = os.environ.get("REPDIAG_UPSTREAM_FORMATS")
NAMES = (
    "moco_v2_shufflenet", "lightly_simclr_resnet18", "sslight_moco_mobilenetv2", "sslsmall_mobilenetv3_small",
    "swav_resnet18", "dino_vit_tiny16_bare_teacher", "dino_vit_tiny16_bare_teacher_at64",
    "timm_mobilenetv3_small_050_pth", "timm_mobilenetv3_small_050_safetensors", "timm_train_checkpoint",
    "openclip_vit_small", "hf_vit_small", "mae_vit_d4", "torchvision_references_mobilenet_v3_small",
)  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDER is None and not ARCHIVE.is_file(), reason="the upstream files are not here"),
]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if FOLDER is not None:
        return Path(FOLDER)
    folder = tmp_path_factory.mktemp("upstream")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def images_of(stored: Any) -> torch.Tensor:
    pixels = torch.tensor(stored["images_u8"]).float() / 255
    return (pixels - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_the_original_code(name: str, upstream: Path) -> None:
    entry = json.loads((upstream / "index.json").read_text())[name]
    stored = np.load(upstream / entry["reference"])
    encoder = load_encoder(upstream / entry["file"])
    features = encoder(images_of(stored))
    wanted = torch.tensor(stored["embedding"])
    assert torch.allclose(features, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize(
    ("name", "branch", "key"),
    [("moco_v2_shufflenet", "key", "embedding_momentum"), ("sslsmall_mobilenetv3_small", "key", "embedding_momentum"),
     ("sslight_moco_mobilenetv2", "momentum", "embedding_momentum"), ("timm_train_checkpoint", "ema", "embedding_ema")],
)  # fmt: skip
def test_the_other_branch_is_the_original_other_branch(name: str, branch: str, key: str, upstream: Path) -> None:
    entry = json.loads((upstream / "index.json").read_text())[name]
    stored = np.load(upstream / entry["reference"])
    features = load_encoder(upstream / entry["file"], branch=branch)(images_of(stored))
    wanted = torch.tensor(stored[key])
    assert torch.allclose(features, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize(
    "name", ["moco_v2_shufflenet", "lightly_simclr_resnet18", "sslight_moco_mobilenetv2", "sslsmall_mobilenetv3_small"]
)
def test_projections_are_those_of_the_original_code(name: str, upstream: Path) -> None:
    entry = json.loads((upstream / "index.json").read_text())[name]
    stored = np.load(upstream / entry["reference"])
    encoder = load_encoder(upstream / entry["file"])
    projections = encoder.project(encoder(images_of(stored)))
    wanted = torch.tensor(stored["projection"])
    assert projections is not None
    assert torch.allclose(projections, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
