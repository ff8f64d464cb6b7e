"""Files that timm, torchvision and lightly themselves write, with random weights, read back without a flag."""

from __future__ import annotations

import argparse
import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from repdiag.checkpoints.load import load_encoder
from tests.unit.checkpoints.families import perturbed

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def same(found: Tensor, wanted: Tensor) -> bool:
    wanted = wanted.detach()
    return torch.allclose(found, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


def test_timm_train_checkpoint(tmp_path: Path) -> None:
    from timm.utils import CheckpointSaver, ModelEmaV3

    torch.manual_seed(0)
    model = perturbed(timm.create_model("resnet18", num_classes=7), 0).requires_grad_(True)
    average = ModelEmaV3(model)
    perturbed(average.module, 1)
    arguments = argparse.Namespace(model="resnet18", mean=[0.5, 0.4, 0.3])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    saver = CheckpointSaver(model, optimizer, arguments, average, checkpoint_dir=str(tmp_path))
    saver.save_checkpoint(3, metric=12.5)
    encoder = load_encoder(tmp_path / "last.pth.tar")
    assert (encoder.info.family, encoder.info.branch, encoder.info.epoch) == ("timm", "online", 3)
    assert encoder.info.mean == (0.5, 0.4, 0.3)
    assert same(encoder(IMAGES), model.forward_head(model.forward_features(IMAGES), pre_logits=True))
    twin = average.module
    wanted = twin.forward_head(twin.forward_features(IMAGES), pre_logits=True)
    assert same(load_encoder(tmp_path / "last.pth.tar", branch="ema")(IMAGES), wanted)


def test_timm_folder_of_the_hub(tmp_path: Path) -> None:
    from timm.models import save_for_hf

    torch.manual_seed(0)
    model = perturbed(timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64, depth=2), 0)
    model.pretrained_cfg = model.pretrained_cfg | {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    save_for_hf(model, tmp_path, safe_serialization=True)
    encoder = load_encoder(tmp_path)
    assert encoder.info.family == "timm_hub"
    assert encoder.info.mean == (0.5, 0.5, 0.5)
    assert same(encoder(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "mnasnet0_5", "regnet_y_400mf"])
def test_torchvision_state_dict(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = perturbed(torchvision.models.get_model(name), 0)
    torch.save(model.state_dict(), tmp_path / f"{name}-0123abcd.pth")
    encoder = load_encoder(tmp_path / f"{name}-0123abcd.pth")
    setattr(model, "fc" if hasattr(model, "fc") else "classifier", nn.Identity())
    assert encoder.info.backbone.rpartition(":")[2] == name
    assert same(encoder(IMAGES), model(IMAGES))


def moco_of_lightly(backbone: nn.Module) -> Any:
    """Return lightly's documented MoCo module around a backbone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that Lightning imports
        import pytorch_lightning
        from lightly.loss import NTXentLoss
        from lightly.models.modules import MoCoProjectionHead

    class MoCo(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            self.projection_head = MoCoProjectionHead(512, 512, 128)
            self.backbone_momentum = copy.deepcopy(backbone)
            self.projection_head_momentum = copy.deepcopy(self.projection_head)
            self.criterion = NTXentLoss(memory_bank_size=(64, 128))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return MoCo()


def save_with_lightning(module: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the number of processors, and that nothing was trained
        import pytorch_lightning

        trainer = pytorch_lightning.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=path.parent,
        )  # fmt: skip
        trainer.strategy.connect(module)
        trainer.save_checkpoint(path)


def test_lightly_with_torchvisions_resnet(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = nn.Sequential(*list(perturbed(torchvision.models.resnet18(), 0).children())[:-1])
    module = moco_of_lightly(backbone)
    perturbed(module.backbone_momentum, 1)
    save_with_lightning(module, tmp_path / "last.ckpt")
    module.eval()
    encoder = load_encoder(tmp_path / "last.ckpt")
    features = module.backbone(IMAGES).flatten(1)
    assert (encoder.info.family, encoder.info.branch) == ("lightly", "online")
    assert same(encoder(IMAGES), features)
    projections = encoder.project(features)
    assert projections is not None
    assert same(projections, module.projection_head(features))
    momentum = load_encoder(tmp_path / "last.ckpt", branch="momentum")
    assert same(momentum(IMAGES), module.backbone_momentum(IMAGES).flatten(1))


@pytest.mark.parametrize("splits", [0, 2])
def test_lightly_with_its_own_resnet(splits: int, tmp_path: Path) -> None:
    """A list of its children has no ReLU in the stem; split batch norms keep statistics of each part of a batch."""
    from lightly.models import ResNetGenerator

    torch.manual_seed(0)
    resnet = ResNetGenerator("resnet-9", num_splits=splits)
    backbone = nn.Sequential(*list(resnet.children())[:-1], nn.AdaptiveAvgPool2d(1))
    module = moco_of_lightly(backbone)
    module.backbone(torch.randn(4, 3, 32, 32))  # in training mode: the statistics move
    save_with_lightning(module, tmp_path / "last.ckpt")
    module.eval()
    images = IMAGES[:, :, :32, :32]
    encoder = load_encoder(tmp_path / "last.ckpt")
    assert encoder.info.family == "lightly"
    assert same(encoder(images), module.backbone(images).flatten(1))
