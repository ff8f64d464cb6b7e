"""Every family is recognised without a flag, and each of its branches computes what the original modules compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from repdiag.checkpoints.architectures.transformers import transformer_candidates
from repdiag.checkpoints.encoder import Encoder
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import FAMILIES, Family, perturbed, resnet18, under
from tests.unit.checkpoints.families_with_heads import FAMILIES_WITH_HEADS, lukemelas


def written(family: Family, folder: Path) -> Path:
    path = folder / "file.pth"
    torch.save(family.tree, path)
    for file, content in family.sidecars.items():
        (folder / file).write_text(json.dumps(content))
    return path


def images_of(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def same(found: Tensor | None, wanted: Tensor) -> bool:
    return found is not None and torch.allclose(found, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


def check(family: Family, path: Path) -> dict[str, Encoder]:
    images, encoders = images_of(family.image_size), {}
    for index, (branch, module) in enumerate(family.branches.items()):
        encoder = load_encoder(path, branch=None if index == 0 else branch)
        assert encoder.info.family == family.name
        assert encoder.info.branch == branch
        assert encoder.info.match == 1.0
        assert same(encoder(images), module(images))
        encoders[branch] = encoder
    return encoders


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_those_of_the_original(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]()
    check(family, written(family, tmp_path))


@pytest.mark.parametrize("name", FAMILIES_WITH_HEADS)
def test_projections_are_those_of_the_original(name: str, tmp_path: Path) -> None:
    family, heads = FAMILIES_WITH_HEADS[name]()
    encoders = check(family, written(family, tmp_path))
    with torch.no_grad():
        for branch, head in heads.items():
            features = family.branches[branch](images_of(family.image_size))
            assert same(encoders[branch].project(features), head.eval()(features))
            assert not any("not understood" in note for note in encoders[branch].info.notes)


class _Padded(nn.Module):
    """A strided convolution with the padding that maps with an even side get."""

    def __init__(self, inner: nn.Conv2d) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, maps: Tensor) -> Tensor:
        side = self.inner.kernel_size[0] - 2
        before, after = side // 2, side - side // 2
        return F.conv2d(
            F.pad(maps, (before, after, before, after)), self.inner.weight, stride=2, groups=self.inner.groups
        )


def test_efficientnet_pytorch_pads_as_for_its_own_size_at_every_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = perturbed(timm.create_model("tf_efficientnet_lite0", num_classes=0), 0)
    torch.save(lukemelas(network), tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth")
    for module in list(network.modules()):  # at 224 pixels every strided convolution gets maps with an even side
        for name, child in list(module.named_children()):
            if type(child).__name__ == "Conv2dSame":
                setattr(module, name, _Padded(child))
    for size in (224, 97):
        assert same(encoder(images_of(size)), network(images_of(size)))


@pytest.mark.parametrize(("name", "size"), [("googlenet", 224), ("inception_v3", 299)])
def test_auxiliary_classifiers_are_no_part_of_the_backbone(name: str, size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = torchvision.models.get_model(name, weights=None, init_weights=False, aux_logits=True).eval()
    torch.save(network.state_dict(), tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth")
    assert encoder.info.image_size == size
    assert any("--mean .5,.5,.5" in note for note in encoder.info.notes)
    with torch.no_grad():
        assert same(network.fc(encoder(images_of(size))), network(images_of(size)))


def test_two_networks_of_nobodys_family_are_a_question(tmp_path: Path) -> None:
    nets = {"student": resnet18(1), "teacher": resnet18(2)}
    state = {name: value for role, net in nets.items() for name, value in under(f"{role}.cnn.", net).items()}
    torch.save({"weights": state}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="holds 2 networks") as caught:
        load_encoder(tmp_path / "file.pth")
    assert "student" in str(caught.value.found)
    assert "teacher" in str(caught.value.found)
    for role, net in nets.items():
        assert same(load_encoder(tmp_path / "file.pth", branch=role)(images_of(64)), net(images_of(64)))


@pytest.mark.parametrize("kind", ["shard_list", "shard", "slice_list"])
def test_parts_of_a_vissl_model_say_what_they_are(kind: str, tmp_path: Path) -> None:
    content = {"shard_list": {"shards": ["a_shard0.torch"]}}.get(kind, {"classy_state_dict": {"base_model": {}}})
    torch.save({"type": kind, **content}, tmp_path / "model.torch")
    with pytest.raises(CheckpointError, match=f"is a {kind} of VISSL"):
        load_encoder(tmp_path / "model.torch")


def test_integers_do_not_fill_real_weights(tmp_path: Path) -> None:
    state = resnet18().state_dict()
    state["layer1.0.conv1.weight"] = (state["layer1.0.conv1.weight"] * 100).to(torch.int8)
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="all of them are needed"):
        load_encoder(tmp_path / "file.pth")


@pytest.mark.parametrize(("width", "heads"), [(384, 6), (768, 12), (1024, 16), (1280, 16), (1408, 16)])
def test_usual_numbers_of_attention_heads(width: int, heads: int) -> None:
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 17, width), "patch_embed.proj.weight": (width, 3, 14, 14)}
    shapes |= {"blocks.0.attn.qkv.weight": (3 * width, width), "blocks.0.mlp.fc1.weight": (4 * width, width)}
    shapes |= {"blocks.0.mlp.fc2.weight": (width, 4 * width), "norm.weight": (width,)}
    found = transformer_candidates({name: torch.zeros(shape) for name, shape in shapes.items()}, Facts())
    with torch.device("meta"):
        network: Any = found[0].build()
    assert network.blocks[0].attn.num_heads == heads
