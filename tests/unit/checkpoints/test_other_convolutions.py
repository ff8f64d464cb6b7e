"""DenseNets of any growth and stem, and ResNets under the names of other repositories, compute what they did."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.densenet import DenseNet

from repdiag.checkpoints.load import load_encoder
from tests.unit.checkpoints.families import State, perturbed, resnet18


def images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def gap(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


def densenet(*, small: bool) -> Any:
    torch.manual_seed(0)
    network: Any = DenseNet(growth_rate=8, block_config=(2, 3), num_init_features=16, num_classes=5)
    if small:
        network.features.conv0 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        network.features.pool0 = nn.Identity()
    return perturbed(network, 0)


def pooled(network: Any, batch: Tensor) -> Tensor:
    return torch.relu(network.features(batch)).mean((2, 3))


@pytest.mark.parametrize("small", [False, True])
def test_densenets_of_any_depth_and_stem(small: bool, tmp_path: Path) -> None:
    network = densenet(small=small)
    torch.save(
        {"state_dict": {f"model.{key}": value for key, value in network.state_dict().items()}}, tmp_path / "d.pth"
    )
    encoder = load_encoder(tmp_path / "d.pth")
    batch = images(32 if small else 64)
    assert gap(encoder(batch), pooled(network, batch)) < 1e-5
    assert encoder.info.image_size == (32 if small else 224)
    assert any("--stem" in note for note in encoder.info.notes)


def test_the_stem_of_a_densenet_can_be_told(tmp_path: Path) -> None:
    network = densenet(small=True)
    network.features.conv0.stride = (2, 2)
    network.features.pool0 = nn.MaxPool2d(3, stride=2, padding=1)
    torch.save(network.state_dict(), tmp_path / "d.pth")
    encoder = load_encoder(tmp_path / "d.pth", stem=(2, True), image_size=64)
    assert gap(encoder(images(64)), pooled(network, images(64))) < 1e-5


def test_the_names_that_torchvision_published(tmp_path: Path) -> None:
    network = densenet(small=False)
    state = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", key): value
             for key, value in network.state_dict().items()}  # fmt: skip
    torch.save(state, tmp_path / "densenet.pth")
    assert gap(load_encoder(tmp_path / "densenet.pth")(images(64)), pooled(network, images(64))) < 1e-5


def kuangliu_by_hand(state: State, batch: Tensor, depths: tuple[int, ...]) -> Tensor:
    """What models/densenet.py of pytorch-cifar computes: a layer's channels go before its input."""

    def normed(name: str, maps: Tensor) -> Tensor:
        leaves = ("running_mean", "running_var", "weight", "bias")
        return torch.relu(F.batch_norm(maps, *(state[f"{name}.{leaf}"] for leaf in leaves)))

    maps = F.conv2d(batch, state["conv1.weight"], padding=1)
    for block, depth in enumerate(depths, 1):
        for layer in range(depth):
            place = f"dense{block}.{layer}"
            narrow = F.conv2d(normed(f"{place}.bn1", maps), state[f"{place}.conv1.weight"])
            added = F.conv2d(normed(f"{place}.bn2", narrow), state[f"{place}.conv2.weight"], padding=1)
            maps = torch.cat([added, maps], 1)
        if block < len(depths):
            maps = F.avg_pool2d(F.conv2d(normed(f"trans{block}.bn", maps), state[f"trans{block}.conv.weight"]), 2)
    return normed("bn", maps).mean((2, 3))


def kuangliu_state(network: Any) -> State:
    rules = (
        (r"^features\.conv0\.", "conv1."),
        (r"^features\.denseblock(\d)\.denselayer(\d+)\.", lambda found: f"dense{found[1]}.{int(found[2]) - 1}."),
        (r"\.norm([12])\.", r".bn\1."),
        (r"^features\.transition(\d)\.norm\.", r"trans\1.bn."),
        (r"^features\.transition(\d)\.conv\.", r"trans\1.conv."),
        (r"^features\.norm5\.", "bn."),
        (r"^classifier\.", "linear."),
    )
    found: State = {}
    for name, value in network.state_dict().items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        found[name] = value
    return {name: value for name, value in found.items() if not name.startswith("features.norm0")}


def test_densenets_of_pytorch_cifar_put_new_channels_first(tmp_path: Path) -> None:
    state = kuangliu_state(densenet(small=True))
    torch.save({"net": {f"module.{name}": value for name, value in state.items()}, "acc": 93.0}, tmp_path / "ckpt.pth")
    encoder = load_encoder(tmp_path / "ckpt.pth")
    assert gap(encoder(images(32)), kuangliu_by_hand(state, images(32), (2, 3))) < 1e-5


def in_detectron2(name: str) -> str:
    for pattern, replacement in (
        (r"^conv1\.", "stem.conv1."),
        (r"^bn1\.", "stem.conv1.norm."),
        (r"^layer(\d)\.", lambda found: f"res{int(found[1]) + 1}."),
        (r"\.bn(\d)\.", r".conv\1.norm."),
        (r"\.downsample\.0\.", ".shortcut."),
        (r"\.downsample\.1\.", ".shortcut.norm."),
    ):
        name = re.sub(pattern, replacement, name)
    return f"backbone.bottom_up.{name}"


def in_pytorch_cifar100(name: str) -> str:
    for pattern, replacement in (
        (r"^conv1\.", "conv1.0."),
        (r"^bn1\.", "conv1.1."),
        (r"^layer(\d)\.", lambda found: f"conv{int(found[1]) + 1}_x."),
        (r"(_x\.\d+)\.conv([12])\.", lambda found: f"{found[1]}.residual_function.{3 * int(found[2]) - 3}."),
        (r"(_x\.\d+)\.bn([12])\.", lambda found: f"{found[1]}.residual_function.{3 * int(found[2]) - 2}."),
        (r"\.downsample\.", ".shortcut."),
    ):
        name = re.sub(pattern, replacement, name)
    return name


@pytest.mark.parametrize(("names", "cifar"), [(in_detectron2, None), (in_pytorch_cifar100, 1)])
def test_resnets_under_other_names(names: Any, cifar: int | None, tmp_path: Path) -> None:
    network = resnet18(cifar=cifar)
    torch.save({"model": {names(key): value for key, value in network.state_dict().items()}}, tmp_path / "r.pth")
    batch = images(32 if cifar else 64)
    assert gap(load_encoder(tmp_path / "r.pth")(batch), network(batch)) < 1e-5


def preactivated_by_hand(state: State, batch: Tensor, stages: list[list[str]], *, last: str | None) -> Tensor:
    """What wideresnet.py and preact_resnet.py compute, from the names of the tensors."""

    def normed(name: str, maps: Tensor) -> Tensor:
        leaves = ("running_mean", "running_var", "weight", "bias")
        return torch.relu(F.batch_norm(maps, *(state[f"{name}.{leaf}"] for leaf in leaves)))

    maps = F.conv2d(batch, state["conv1.weight"], padding=1)
    for number, stage in enumerate(stages):
        for place in stage:
            stride = 2 if number and place == stage[0] else 1
            ready = normed(f"{place}.bn1", maps)
            shortcut = [name for name in state if name.startswith(f"{place}.") and "hortcut" in name]
            beside = F.conv2d(ready, state[shortcut[0]], stride=stride) if shortcut else maps
            middle = F.conv2d(ready, state[f"{place}.conv1.weight"], stride=stride, padding=1)
            maps = F.conv2d(normed(f"{place}.bn2", middle), state[f"{place}.conv2.weight"], padding=1) + beside
    return (normed(last, maps) if last else maps).mean((2, 3))


@pytest.mark.parametrize("wide", [True, False])
def test_networks_that_normalise_before_they_convolve(wide: bool, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    stages = [[f"block{s}.layer.{b}" if wide else f"layer{s}.{b}" for b in range(2)] for s in range(1, 4)]
    state: State = {"conv1.weight": torch.randn(8, 3, 3, 3, generator=generator) / 5}
    inside = 8
    for number, stage in enumerate(stages):
        width = 8 * 2**number + (8 if wide else 0)
        for place in stage:
            for name, of in (("bn1", inside), ("bn2", width)):
                state |= {f"{place}.{name}.{leaf}": torch.rand(of, generator=generator) + 0.5
                          for leaf in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
            state[f"{place}.conv1.weight"] = torch.randn(width, inside, 3, 3, generator=generator) / (3 * inside**0.5)
            state[f"{place}.conv2.weight"] = torch.randn(width, width, 3, 3, generator=generator) / (3 * width**0.5)
            if inside != width:
                name = "convShortcut" if wide else "shortcut.0"
                state[f"{place}.{name}.weight"] = torch.randn(width, inside, 1, 1, generator=generator) / inside**0.5
            inside = width
    if wide:
        state |= {f"bn1.{leaf}": torch.rand(inside, generator=generator) + 0.5
                  for leaf in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    head = {"fc.weight" if wide else "linear.weight": torch.zeros(10, inside)}
    torch.save({"net": {f"module.{name}": value for name, value in (state | head).items()}}, tmp_path / "n.pth")
    encoder = load_encoder(tmp_path / "n.pth")
    wanted = preactivated_by_hand(state, images(32), stages, last="bn1" if wide else None)
    assert gap(encoder(images(32)), wanted) < 1e-5
    assert encoder.info.image_size == 32
