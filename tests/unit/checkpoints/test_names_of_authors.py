"""Networks of timm under the names of MONAI and RepVGG, and trunks without a classifier, compute what they did."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from repdiag.checkpoints.load import load_encoder
from tests.unit.checkpoints.families import State, perturbed, vit

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
_MONAI_VIT = (
    (r"^pos_embed$", "patch_embedding.position_embeddings"),
    (r"^patch_embed\.proj\.", "patch_embedding.patch_embeddings."),
    (r"\.mlp\.fc([12])\.", r".mlp.linear\1."),
    (r"\.attn\.proj\.", ".attn.out_proj."),
)
_MONAI_SENET = (
    (r"(layer\d\.\d\.conv\d)\.", r"\1.conv."),
    (r"(layer\d\.\d)\.bn(\d)\.", r"\1.conv\2.adn.N."),
    (r"\.downsample\.0\.", ".project.conv."),
    (r"\.downsample\.1\.", ".project.adn.N."),
    (r"\.se_module\.fc1\.", ".se_layer.fc.0."),
    (r"\.se_module\.fc2\.", ".se_layer.fc.2."),
)
_REPVGG = (
    (r"^stem\.", "stage0."),
    *((rf"^stages\.{stage}\.", f"stage{stage + 1}.") for stage in range(4)),
    (r"\.conv_kxk\.", ".rbr_dense."),
    (r"\.conv_1x1\.", ".rbr_1x1."),
    (r"\.identity\.", ".rbr_identity."),
)


def _vit() -> tuple[nn.Module, State]:
    network = perturbed(vit(), 0)
    for layer in network.modules():
        if isinstance(layer, nn.LayerNorm):
            layer.eps = 1e-5
    unused = {"blocks.0.norm_cross_attn.weight": torch.ones(192), "classification_head.0.weight": torch.zeros(3, 192)}
    return network, {**_renamed(network.state_dict(), _MONAI_VIT), **unused}


def _senet() -> tuple[nn.Module, State]:
    network = perturbed(timm.create_model("legacy_seresnet50", num_classes=0), 0)
    state = _renamed(network.state_dict(), _MONAI_SENET)
    return network, {
        name: value.flatten(1) if name.endswith("weight") and ".se_layer." in name else value
        for name, value in state.items()
    }


def _repvgg() -> tuple[nn.Module, State]:
    network = perturbed(timm.create_model("repvgg_a0", num_classes=0), 0)
    return network, _renamed(network.state_dict(), _REPVGG)


def _renamed(state: State, rules: tuple[tuple[str, str], ...]) -> State:
    found = {}
    for name, value in state.items():
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        found[new] = value
    return found


@pytest.mark.parametrize("made", [_vit, _senet, _repvgg], ids=["monai-vit", "monai-senet", "repvgg"])
def test_features_are_those_of_the_network(made: Any, tmp_path: Path) -> None:
    network, state = made()
    torch.save({"state_dict": {f"net.{name}": value for name, value in state.items()}}, tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth", image_size=64)
    assert _apart(encoder(IMAGES), network(IMAGES)) < 1e-5


def test_a_vgg_without_its_classifier_is_pooled_by_the_mean_aloud(tmp_path: Path) -> None:
    network: Any = perturbed(torchvision.models.vgg11(), 0)
    torch.save({f"trunk.{name}": value for name, value in network.state_dict().items() if "classifier" not in name},
               tmp_path / "file.pth")  # fmt: skip
    encoder = load_encoder(tmp_path / "file.pth", image_size=64)
    maps = network.features(IMAGES)
    assert _apart(encoder(IMAGES), maps.mean((2, 3))) < 1e-5
    assert any("pooling mean of the last map (--pool)" in note for note in encoder.info.notes)
    assert _apart(load_encoder(tmp_path / "file.pth", image_size=64, pool="max")(IMAGES), maps.amax((2, 3))) < 1e-5


def test_a_vgg_as_a_list_of_layers_is_one_of_maps(tmp_path: Path) -> None:
    network: Any = perturbed(torchvision.models.vgg11_bn(), 0)
    state = {f"unet.encoder.{name}": value for name, value in network.features.state_dict().items()}
    torch.save(state | {"unet.decoder.0.weight": torch.zeros(4, 512, 3, 3)}, tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth", image_size=64)
    assert _apart(encoder(IMAGES), network.features(IMAGES).mean((2, 3))) < 1e-5


def test_a_network_for_other_channels_is_found_behind_a_prefix(tmp_path: Path) -> None:
    network = perturbed(timm.create_model("lcnet_050", num_classes=0, in_chans=6), 0)
    torch.save({f"net.{name}": value for name, value in network.state_dict().items()}, tmp_path / "file.pth")
    images = torch.cat([IMAGES, IMAGES], dim=1)
    assert _apart(load_encoder(tmp_path / "file.pth", image_size=64)(images), network(images)) < 1e-5


def test_an_average_kept_as_timm_does_may_be_of_a_users_own_module(tmp_path: Path) -> None:
    network, other = vit(), vit(seed=1)
    tree = {key: {f"model.{name}": value for name, value in of.state_dict().items()}
            for key, of in (("state_dict", other), ("state_dict_ema", network))}  # fmt: skip
    torch.save(tree, tmp_path / "file.ckpt")
    assert _apart(load_encoder(tmp_path / "file.ckpt", branch="ema")(IMAGES), network(IMAGES)) < 1e-5
    assert _apart(load_encoder(tmp_path / "file.ckpt")(IMAGES), other(IMAGES)) < 1e-5


def test_an_order_of_channels_that_nobody_says_is_said(tmp_path: Path) -> None:
    torch.save(vit().state_dict(), tmp_path / "file.pth")
    assumed = load_encoder(tmp_path / "file.pth")
    assert any("channel order RGB (--channel-order)" in note for note in assumed.info.notes)
    told = load_encoder(tmp_path / "file.pth", channel_order="rgb")
    assert not any("channel order RGB" in note for note in told.info.notes)


def test_functions_of_torch_beside_weights_are_not_an_attack(tmp_path: Path) -> None:
    torch.save({"model": vit().state_dict(), "activation": torch.tanh}, tmp_path / "file.pth")
    assert load_encoder(tmp_path / "file.pth").info.feature_dim == 192


def _apart(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())
