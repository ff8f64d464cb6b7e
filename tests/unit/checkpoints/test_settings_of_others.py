"""Files that differ from a known one in what no tensor holds: read where it is recorded, else assumed aloud."""

from __future__ import annotations

import argparse
import copy
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from repdiag.checkpoints.load import convert_checkpoint, load_encoder
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import perturbed, resnet18, under, vit


def images_of(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def gap(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


def saved(tree: Any, folder: Path, name: str = "file.pth") -> Path:
    torch.save(tree, folder / name)
    return folder / name


def lightning(*, projector: int, callbacks: dict[str, Any]) -> dict[str, Any]:
    state = under("backbone.", resnet18(cifar=1)) | {"classifier.weight": torch.zeros(10, 512)}
    state |= {f"projector.{2 * layer}.weight": torch.zeros(64, 512 if layer == 0 else 64) for layer in range(projector)}
    return {"state_dict": state, "pytorch-lightning_version": "2.5", "callbacks": callbacks}


@pytest.mark.parametrize(("projector", "callbacks"), [(1, {}), (2, {"ModelCheckpoint{'monitor': None}": {}})])
def test_somebodys_lightning_module_is_not_solo_learns(
    projector: int, callbacks: dict[str, Any], tmp_path: Path
) -> None:
    encoder = load_encoder(saved(lightning(projector=projector, callbacks=callbacks), tmp_path))
    assert encoder.info.family != "solo_learn"
    assert gap(encoder(images_of(32)), resnet18(cifar=1)(images_of(32))) < 1e-5


def test_solo_learns_own_layout_stays_solo_learns(tmp_path: Path) -> None:
    assert load_encoder(saved(lightning(projector=2, callbacks={}), tmp_path)).info.family == "solo_learn"


def test_the_stem_of_a_librarys_network_is_assumed_and_can_be_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = torchvision.models.mobilenet_v2(num_classes=10)
    network.features[0][0].stride = (1, 1)  # as for images of 32 pixels
    perturbed(network, 0)
    path = saved(network.state_dict(), tmp_path)
    network.classifier = nn.Identity()
    plain = load_encoder(path)
    assert {fact.flag: fact.source for fact in plain.info.facts}["--stem"] == "assumed"
    assert gap(plain(images_of(32)), network(images_of(32))) > 1e-3
    told = load_encoder(path, stem=(1, True))
    assert gap(told(images_of(32)), network(images_of(32))) < 1e-5
    convert_checkpoint(path, tmp_path / "own.safetensors", ReadOptions(stem=(1, True)))
    assert torch.equal(load_encoder(tmp_path / "own.safetensors")(images_of(32)), told(images_of(32)))


def test_a_recorded_epsilon_of_batch_norms_is_used(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = perturbed(timm.create_model("efficientnet_b0", num_classes=7, bn_eps=0.1), 0)
    arguments = argparse.Namespace(model="efficientnet_b0", bn_eps=0.1)
    tree = {"arch": "efficientnet_b0", "version": 2, "state_dict": network.state_dict(), "args": arguments}
    path = saved(tree, tmp_path)
    encoder = load_encoder(path)
    wanted = network.forward_head(network.forward_features(images_of(64)), pre_logits=True)
    assert gap(encoder(images_of(64)), wanted) < 1e-5
    assert "bn eps" in {fact.name for fact in encoder.info.facts}
    convert_checkpoint(path, tmp_path / "own.safetensors")
    assert gap(load_encoder(tmp_path / "own.safetensors")(images_of(64)), wanted) < 1e-5


@pytest.mark.parametrize("head", ["fcn", "deeplab"])
def test_segmentation_networks_of_torchvision_are_dilated(head: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True])
    network.fc = nn.Identity()
    perturbed(network, 0)
    last = "classifier.4.weight" if head == "fcn" else "classifier.0.convs.0.0.weight"
    encoder = load_encoder(saved(under("backbone.", network) | {last: torch.zeros(21, 8, 1, 1)}, tmp_path))
    assert encoder.info.family == "torchvision_segmentation"
    assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5


@torch.no_grad()
def test_a_mobilenet_of_torchvisions_segmentation_is_dilated_too(tmp_path: Path) -> None:
    network: Any = perturbed(torchvision.models.mobilenet_v3_large(dilated=True), 0)
    state = {f"backbone.{name}": value for name, value in network.features.state_dict().items()}
    path = saved(state | {"classifier.cbr.0.weight": torch.zeros(128, 960, 1, 1)}, tmp_path)
    images = images_of(128)
    assert gap(load_encoder(path)(images), network.features(images).mean((2, 3))) < 1e-5
    plain = torchvision.models.mobilenet_v3_large().eval()
    plain.load_state_dict(network.state_dict())
    assert gap(load_encoder(path, dilated=False)(images), plain.features(images).mean((2, 3))) < 1e-5


def test_a_vgg_with_three_layers_of_512_is_one_for_small_images(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = torchvision.models.vgg11_bn(num_classes=10)
    network.classifier = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 10))
    perturbed(network, 0)
    encoder = load_encoder(saved(network.state_dict(), tmp_path))
    assert (encoder.info.feature_dim, encoder.info.image_size) == (512, 32)
    assert gap(encoder(images_of(32)), network.features(images_of(32)).flatten(1)) < 1e-5


def test_deits_image_size_proves_a_grid_that_shapes_alone_do_not(tmp_path: Path) -> None:
    network: Any = vit(size=192, no_embed_class=True, num_classes=5)
    arguments = argparse.Namespace(model="deit_tiny_patch16_LS", input_size=192)
    encoder = load_encoder(saved({"model": network.state_dict(), "args": arguments}, tmp_path))
    assert encoder.info.image_size == 192
    wanted = network.forward_head(network.forward_features(images_of(192)), pre_logits=True)
    assert gap(encoder(images_of(192)), wanted) < 1e-5


def test_clipas_mean_is_an_assumption_and_is_called_one(tmp_path: Path) -> None:
    network: Any = vit(norm_layer=nn.LayerNorm)
    rules = [
        (r"^blocks\.", "visual.transformer.resblocks."),
        (r"\.norm(\d)\.", r".ln_\1."),
        (r"^norm\.", "visual.ln_post."),
        (r"\.attn\.qkv\.", ".attn.in_proj_"),
        (r"\.attn\.proj\.", ".attn.out_proj."),
        (r"\.fc1\.", ".c_fc."),
        (r"\.fc2\.", ".c_proj."),
        (r"^patch_embed\.proj\.", "visual.conv1."),
        (r"^cls_token", "visual.class_embedding"),
        (r"^pos_embed", "visual.positional_embedding"),
    ]
    state = {"logit_scale": torch.zeros(())}
    for name, value in network.state_dict().items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        state[name] = value[0, 0] if "class" in name else value[0] if "positional" in name else value
    encoder = load_encoder(saved(state, tmp_path))
    pooling = next(fact for fact in encoder.info.facts if fact.flag == "--pool")
    assert (pooling.value, pooling.source) == ("mean of patch tokens", "assumed")


def test_an_average_that_is_not_taken_is_named(tmp_path: Path) -> None:
    tree = {"model": resnet18().state_dict(), "ema": resnet18(1).state_dict()}
    encoder = load_encoder(saved(tree, tmp_path))
    assert gap(encoder(images_of(64)), resnet18()(images_of(64))) < 1e-5
    assert any("--branch ema" in note for note in encoder.info.notes)


def test_patterns_and_loggers_beside_weights_are_no_attack(tmp_path: Path) -> None:
    tree = {"model": resnet18().state_dict(), "pattern": re.compile("a+"), "log": logging.getLogger("training")}
    assert load_encoder(saved(tree, tmp_path)).info.backbone == "resnet18"


def test_a_problem_is_one_line_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.pth"
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError) as caught:
        load_encoder(path)
    assert "\n" not in caught.value.problem
    assert r"a\nb.pth" in caught.value.problem


def monai_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        re.sub(r"(denselayer\d+)\.", r"\1.layers.", re.sub(r"^classifier\.", "class_layers.out.", name)): value
        for name, value in state.items()
    }


def test_densenets_of_monai(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = perturbed(torchvision.models.densenet121(num_classes=4), 0)
    encoder = load_encoder(saved(monai_names(network.state_dict()), tmp_path))
    network = copy.copy(network)
    network.classifier = nn.Identity()
    assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5


def test_deep_stems_of_open_mmlab(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = perturbed(timm.create_model("resnet50d", num_classes=0), 0)
    state = {re.sub(r"^conv1\.(\d)", r"stem.\1", re.sub(r"^bn1\.", "stem.7.", name)): value
             for name, value in network.state_dict().items()}  # fmt: skip
    encoder = load_encoder(
        saved({"meta": {}, "state_dict": {f"backbone.{name}": value for name, value in state.items()}}, tmp_path)
    )
    assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "resize", "squash"),
    [
        ({"eval_crop_ratio": 0.875}, 438, False),
        ({"crop_pct": None}, None, True),  # ConvNeXt's and BEiT's
        ({"global_pool": False}, 384, False),  # MAE's fine-tuning
    ],
)
def test_forks_of_deit_frame_large_images_differently(
    arguments: dict[str, Any], resize: int | None, squash: bool, tmp_path: Path
) -> None:
    known = argparse.Namespace(model="vit", input_size=384, **arguments)
    info = load_encoder(saved({"model": vit(size=384).state_dict(), "args": known}, tmp_path)).info
    assert (info.image_size, info.resize, info.squash) == (384, resize, squash)


def test_beits_fine_tuning_records_which_mean_it_takes(tmp_path: Path) -> None:
    known = argparse.Namespace(model="vit", input_size=64, crop_pct=None, imagenet_default_mean_and_std=False)
    info = load_encoder(saved({"model": vit().state_dict(), "args": known}, tmp_path)).info
    assert (info.mean, info.std) == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    "tree",
    [
        {"model": under("backbone.", resnet18()) | {"projector.0.weight": torch.zeros(8, 512)}},
        {"model": under("encoder_q.", resnet18()) | under("encoder_k.", resnet18())},
        {"state_dict": under("backbone.", resnet18()) | {"projection_head.layers.0.weight": torch.zeros(8, 512)}},
        {"model": resnet18().state_dict(), "lr_scheduler": {}, "args": argparse.Namespace(lr=0.1)},
        {**resnet18().state_dict(), "projection_head.0.weight": torch.zeros(8, 512)},
    ],
    ids=["vicreg", "moco", "lightly", "torchvision", "swav"],
)
def test_names_that_many_use_leave_the_normalisation_an_assumption(tree: Any, tmp_path: Path) -> None:
    info = load_encoder(saved(tree, tmp_path)).info
    assert any("assumed" in note and "--mean" in note and "--std" in note for note in info.notes), info.family


def test_patches_of_groups_of_channels_are_named(tmp_path: Path) -> None:
    state = vit().state_dict()
    patches = {f"patch_embed.{group}.proj.weight": torch.zeros(192, 4, 16, 16) for group in range(3)}
    state = {name: value for name, value in state.items() if not name.startswith("patch_embed")} | patches
    with pytest.raises(CheckpointError) as caught:
        load_encoder(saved({"model": state}, tmp_path))
    assert "3 groups of channels (4, 4, 4)" in str(caught.value.hint)
