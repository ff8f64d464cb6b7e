"""What has no tensor is read where it is recorded, proven by shapes, taken from a flag, or assumed aloud."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder
from repdiag.checkpoints.load import convert_checkpoint, load_encoder
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.embeddings.normalization import Normalization
from tests.unit.checkpoints.families import perturbed, resnet18, under, vit


def images_of(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def gap(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


def saved(tree: Any, folder: Path, **sidecars: Any) -> Path:
    torch.save(tree, folder / "file.pth")
    for name, content in sidecars.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / "file.pth"


def fact(encoder: Encoder, flag: str) -> tuple[str, str]:
    found = next(item for item in encoder.info.facts if item.flag == flag)
    return found.value, found.source


def pooled(kind: str) -> nn.Module:
    network: Any = resnet18()
    if kind == "max":
        network.avgpool = nn.AdaptiveMaxPool2d(1)
    return network


def stem_3x3(stride: int, *, pool: bool) -> Any:
    network: Any = resnet18(cifar=1)
    network.conv1.stride = (stride, stride)
    if pool:
        network.maxpool = nn.MaxPool2d(3, 2, 1)
    return network


@pytest.mark.parametrize(
    ("stride", "pool", "flag"), [(1, True, (1, True)), (2, True, (2, True)), (2, False, (2, False))]
)
def test_a_small_stem_is_assumed_aloud_and_its_flag_is_right(
    stride: int, pool: bool, flag: tuple[int, bool], tmp_path: Path
) -> None:
    network = stem_3x3(stride, pool=pool)
    path = saved(network.state_dict(), tmp_path)
    assumed, told = load_encoder(path), load_encoder(path, stem=flag, image_size=64)
    images = images_of(64)
    assert fact(assumed, "--stem") == ("stride 1, no max-pool", "assumed")
    assert any("--stem" in note for note in assumed.info.notes)
    assert gap(assumed(images), network(images)) > 1e-2
    assert fact(told, "--stem")[1] == "told"
    assert gap(told(images), network(images)) < 1e-5


def test_a_large_stem_without_max_pool_has_the_same_flag(tmp_path: Path) -> None:
    network: Any = resnet18()
    network.maxpool = nn.Identity()
    path = saved(network.state_dict(), tmp_path)
    assert gap(load_encoder(path, stem=(2, False))(images_of(64)), network(images_of(64))) < 1e-5


def test_strides_that_were_left_out(tmp_path: Path) -> None:
    """The last stride of re-identification; DeepLab's dilation, as torchvision itself builds it."""
    torch.manual_seed(0)
    kept: Any = perturbed(torchvision.models.resnet50(), 0)
    kept.fc = nn.Identity()
    kept.layer4[0].conv2.stride = kept.layer4[0].downsample[0].stride = (1, 1)
    dilated: Any = torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True])
    dilated.fc = nn.Identity()
    dilated.load_state_dict(kept.state_dict())
    dilated.eval().requires_grad_(False)
    path = saved(kept.state_dict(), tmp_path)
    images = images_of(64)
    assert gap(load_encoder(path, output_stride=16)(images), kept(images)) < 1e-5
    assert gap(load_encoder(path, output_stride=8, dilated=True)(images), dilated(images)) < 1e-5
    with pytest.raises(CheckpointError, match="output stride of 12"):
        load_encoder(path, output_stride=12)


def test_strides_of_caffe_are_read_from_the_recorded_style(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = perturbed(torchvision.models.resnet50(), 0)
    network.fc = nn.Identity()
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    text = (
        "model = dict(backbone=dict(type='ResNet', depth=50, style='caffe'))\n"
        "data_preprocessor = dict(mean=[103.53, 116.28, 123.675], std=[1., 1., 1.], to_rgb=False)\n"
    )
    path = saved({"meta": {"cfg": text}, "state_dict": under("backbone.", network)}, tmp_path)
    encoder = load_encoder(path)
    assert fact(encoder, "--stride-in") == ("1x1", "recorded")
    assert encoder.info.bgr
    assert encoder.info.mean == pytest.approx((103.53 / 255, 116.28 / 255, 123.675 / 255), abs=1e-6)
    assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5


def test_an_order_of_channels_that_nothing_records_can_be_told(tmp_path: Path) -> None:
    path = saved(torchvision.models.resnet18().state_dict(), tmp_path)
    mean, std = (0.406, 0.456, 0.485), (1 / 255,) * 3
    told = load_encoder(path, channel_order="bgr", mean=mean, std=std)
    assert (told.info.bgr, fact(told, "--channel-order")) == (True, ("BGR", "told"))
    assert told.info.mean == mean
    images = images_of(8)
    wanted = (images[:, [2, 1, 0]] - torch.tensor(mean).view(3, 1, 1)) * 255
    fed = Normalization(told.info.mean, told.info.std, told.info.bgr).apply(images)
    assert torch.allclose(fed, wanted, atol=1e-4)
    assert not load_encoder(path, channel_order="rgb").info.bgr
    with pytest.raises(UsageError, match="channel_order"):
        load_encoder(path, channel_order="grb")


@pytest.mark.parametrize("text", ["dict(" * 500, "import os", "model = dict(backbone=open('x'))", "x = [" + "1," * 9])
def test_settings_in_python_are_never_run(text: str, tmp_path: Path) -> None:
    network = resnet18()
    path = saved({"meta": {"cfg": text}, "state_dict": under("backbone.", network)}, tmp_path)
    assert gap(load_encoder(path)(images_of(64)), network(images_of(64))) < 1e-5


@pytest.mark.parametrize("pool", ["mean", "max", "mean+max"])
def test_a_transformers_pooling_has_a_flag(pool: str, tmp_path: Path) -> None:
    network: Any = vit()
    path = saved({"model": network.state_dict()}, tmp_path)
    with torch.no_grad():
        patches = network.forward_features(images_of(64))[:, 1:]
    mean, most = patches.mean(1), patches.amax(1)
    wanted = {"mean": mean, "max": most, "mean+max": (mean + most) / 2}[pool]
    assert fact(load_encoder(path), "--pool") == ("class token", "assumed")
    assert gap(load_encoder(path, pool=pool)(images_of(64)), wanted) < 1e-5


def test_the_exponent_of_gem_is_read(tmp_path: Path) -> None:
    network: Any = resnet18()
    state = under("backbone.", network) | {"pooling.p": torch.tensor([2.5])}
    network.avgpool = nn.Identity()
    maps = network(images_of(64)).reshape(2, 512, 2, 2)
    encoder = load_encoder(saved({"model": state}, tmp_path))
    assert fact(encoder, "--pool") == ("gem", "tensors")
    assert gap(encoder(images_of(64)), maps.clamp(min=1e-6).pow(2.5).mean((2, 3)).pow(1 / 2.5)) < 1e-5


@pytest.mark.parametrize(("name", "layer"), [("relu", nn.ReLU), ("silu", nn.SiLU)])
def test_activation_and_epsilon_have_flags(name: str, layer: Any, tmp_path: Path) -> None:
    network = vit(act_layer=layer, norm_layer=partial(nn.LayerNorm, eps=1e-3))
    path = saved({"model": network.state_dict()}, tmp_path)
    assert gap(load_encoder(path)(images_of(64)), network(images_of(64))) > 1e-3
    assert gap(load_encoder(path, activation=name, norm_eps=1e-3)(images_of(64)), network(images_of(64))) < 1e-5


@pytest.mark.parametrize(("prefix_tokens", "positions"), [("class", 16), ("class", 17), ("both", 16), ("both", 21)])
def test_position_embeddings_of_all_layouts(prefix_tokens: str, positions: int, tmp_path: Path) -> None:
    registers = 4 if prefix_tokens == "both" else 0
    network = vit(reg_tokens=registers, no_embed_class=positions == 16)
    encoder = load_encoder(saved({"model": network.state_dict()}, tmp_path))
    assert encoder.info.image_size == 64
    assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5


@pytest.mark.parametrize("owner", ["", "backbone.", "model.encoder.", "pretrained."])
@pytest.mark.parametrize("registers", [0, 4])
def test_dinov2_as_released_and_inside_a_users_module(owner: str, registers: int, tmp_path: Path) -> None:
    """Its position embeddings are of the class token and the patches; registers come between, without one."""
    network: Any = vit(init_values=1.0, reg_tokens=registers, no_embed_class=True)
    state = dict(network.state_dict()) | {"mask_token": torch.zeros(1, 192)}
    state["pos_embed"] = torch.cat([torch.zeros(1, 1, 192), state["pos_embed"]], dim=1)
    if registers:
        state["register_tokens"] = state.pop("reg_token")
    tree = {"state_dict": {f"{owner}{name}": value for name, value in state.items()}} if owner else state
    encoder = load_encoder(saved(tree, tmp_path))
    assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5


def test_a_grid_that_is_not_square_is_asked_for_or_told(tmp_path: Path) -> None:
    network: Any = vit(size=(32, 128))  # 2 x 8 patches, as many as 4 x 4
    path = saved({"model": network.state_dict()}, tmp_path)
    square, told = load_encoder(path), load_encoder(path, grid=(2, 8))
    assert fact(square, "--grid")[0] == "4 x 4"
    images = torch.randn(2, 3, 32, 128, generator=torch.Generator().manual_seed(0))
    assert gap(told.backbone(images), network(images)) < 1e-5
    path = saved({"model": vit(size=(32, 64)).state_dict()}, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        load_encoder(path)
    assert "--grid 2,4" in str(caught.value.hint)


def test_a_flag_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    path = saved(resnet18().state_dict(), tmp_path)
    for options in ({"heads": 3}, {"grid": (2, 8)}, {"norm_eps": 1e-5}, {"stem_padding": 2}):
        with pytest.raises(CheckpointError, match="has no effect"):
            load_encoder(path, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown pool"):
        load_encoder(path, pool="average")
    with pytest.raises(UsageError, match="heds"):
        load_encoder(path, heds=3)


def timm_folder(folder: Path, name: str, arguments: dict[str, Any], **top: Any) -> Any:
    torch.manual_seed(0)
    network = perturbed(timm.create_model(name, num_classes=0, **arguments), 0)
    config = {
        "architecture": name,
        "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3},
        "model_args": arguments,
        **top,
    }
    saved(network.state_dict(), folder, config=config)
    return network


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("vit_tiny_patch16_224", {"global_pool": "avg", "fc_norm": False, "depth": 2, "img_size": 64}),
        ("vit_tiny_patch16_224", {"num_heads": 12, "depth": 2, "img_size": 64, "act_layer": "relu"}),
        ("vit_small_patch14_reg4_dinov2", {"depth": 2, "img_size": 56}),
        ("resnet18", {"global_pool": "max"}),
        ("resnet18", {"global_pool": "catavgmax"}),
        ("resnet26", {"output_stride": 8}),
    ],
)
def test_arguments_of_timm_are_read_from_its_folder(name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    network = timm_folder(tmp_path, name, arguments)
    encoder = load_encoder(tmp_path / "file.pth")
    size = arguments.get("img_size", 64)
    assert encoder.info.image_size == arguments.get("img_size", 224)
    assert any(item.source == "recorded" for item in encoder.info.facts)
    assert gap(encoder(images_of(size)), network(images_of(size))) < 1e-5
    convert_checkpoint(tmp_path / "file.pth", tmp_path / "out.safetensors")
    assert gap(load_encoder(tmp_path / "out.safetensors")(images_of(size)), network(images_of(size))) < 1e-5


def test_arguments_that_could_fetch_or_run_something_are_not_given_to_timm(tmp_path: Path) -> None:
    odd = {"checkpoint_path": "/etc/passwd", "pretrained": True, "cache_dir": "x", "block_fn": "os.system"}
    network = timm_folder(tmp_path, "resnet18", {})
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_args": odd}))
    encoder = load_encoder(tmp_path / "file.pth")
    assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5
    assert any("checkpoint_path" in note and "not understood" in note for note in encoder.info.notes)
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"architecture": "vit_tiny_patch16_224", "model_args": {"embed_dim": 12288}})
    )
    with pytest.raises(CheckpointError, match="recorded settings"):
        load_encoder(tmp_path / "file.pth")


@pytest.mark.parametrize("pool", ["avg", "max", "catavgmax"])
def test_pooling_is_read_from_the_arguments_of_timms_script(pool: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = perturbed(timm.create_model("resnet18", num_classes=7, global_pool=pool), 0)
    arguments = argparse.Namespace(model="resnet18", gp=pool)
    tree = {"arch": "resnet18", "version": 2, "state_dict": network.state_dict(), "args": arguments}
    encoder = load_encoder(saved(tree, tmp_path))
    wanted = network.forward_head(network.forward_features(images_of(64)), pre_logits=True)
    assert gap(encoder(images_of(64)), wanted) < 1e-5


def test_two_unlike_networks_are_asked_about_and_twins_are_taken_for_averages(tmp_path: Path) -> None:
    torch.manual_seed(0)
    large = perturbed(torchvision.models.resnet34(), 0)
    path = saved({"student": resnet18(1).state_dict(), "teacher": large.state_dict(), "epoch": 3}, tmp_path)
    with pytest.raises(CheckpointError, match="holds 2 networks") as caught:
        load_encoder(path)
    assert "--branch student or --branch teacher" in str(caught.value.hint)
    assert load_encoder(path, branch="student").info.backbone == "resnet18"
    teacher = resnet18(2, cifar=1)
    path = saved({"student": resnet18(1, cifar=1).state_dict(), "teacher": teacher.state_dict()}, tmp_path)
    encoder = load_encoder(path)
    assert (encoder.info.family, encoder.info.branch, encoder.info.image_size) == ("state_dict", "teacher", 32)
    assert any("--branch student" in note for note in encoder.info.notes)
    assert gap(encoder(images_of(32)), teacher(images_of(32))) < 1e-5


@pytest.mark.parametrize("names", [("state_dict", "current_model_state"), ("ema_model.", "online_model.")])
def test_files_made_to_hold_an_average_give_it(names: tuple[str, str], tmp_path: Path) -> None:
    average, online = resnet18(1), resnet18(2)
    if names[0].endswith("."):
        tree: Any = under(names[0], average) | under(names[1], online) | {"initted": torch.tensor(True)}
    else:
        tree = {names[0]: under("backbone.", average), names[1]: under("backbone.", online)}
    path = saved(tree, tmp_path)
    assert load_encoder(path).info.branch == "ema"
    assert gap(load_encoder(path)(images_of(64)), average(images_of(64))) < 1e-5
    assert gap(load_encoder(path, branch="online")(images_of(64)), online(images_of(64))) < 1e-5


def test_wrappers_in_the_middle_of_names(tmp_path: Path) -> None:
    network = vit()
    names = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod")
    for wrapper in names:
        state = {
            name.replace("blocks.1.", f"blocks.1.{wrapper}."): value for name, value in network.state_dict().items()
        }
        encoder = load_encoder(saved({"model": state}, tmp_path))
        assert gap(encoder(images_of(64)), network(images_of(64))) < 1e-5
    average = torch.optim.swa_utils.AveragedModel(network)
    assert gap(load_encoder(saved(average.state_dict(), tmp_path))(images_of(64)), network(images_of(64))) < 1e-5


def test_factors_of_weights_are_multiplied_out(tmp_path: Path) -> None:
    from torch.nn.utils import parametrizations, prune

    network: Any = resnet18()
    network.requires_grad_(True)
    parametrizations.spectral_norm(network.conv1)
    parametrizations.weight_norm(network.layer1[0].conv1)
    prune.random_unstructured(network.layer1[0].conv2, "weight", 0.5)
    network.eval()
    with torch.no_grad():
        wanted = network(images_of(64))
        encoder = load_encoder(saved(network.state_dict(), tmp_path))
        assert gap(encoder(images_of(64)), wanted) < 1e-5
    assert sum("multiplied out" in note for note in encoder.info.notes) == 3


@pytest.mark.parametrize(
    ("state", "said"),
    [({"blocks.0.attn.qkv.lora_A.default.weight": torch.ones(4, 192)}, "merge_and_unload"),
     ({"blocks.0.attn.qkv.SCB": torch.ones(576)}, "quantised")],
)  # fmt: skip
def test_wrapped_weights_say_what_to_do(state: dict[str, Tensor], said: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_encoder(saved({"model": dict(vit().state_dict()) | state}, tmp_path))
    assert said in str(caught.value.hint)


def test_a_told_input_is_kept_by_a_converted_file(tmp_path: Path) -> None:
    network = stem_3x3(1, pool=True)
    path = saved({"state_dict": under("backbone.", network), "epoch": 7}, tmp_path)
    told = ReadOptions(stem=(1, True), image_size=64, resize="squash", mean=(0.1, 0.2, 0.3))
    convert_checkpoint(path, tmp_path / "out.safetensors", told)
    back = load_encoder(tmp_path / "out.safetensors")
    assert gap(back(images_of(64)), network(images_of(64))) < 1e-5
    assert (back.info.image_size, back.info.squash, back.info.mean) == (64, True, (0.1, 0.2, 0.3))
    assert fact(back, "--stem") == ("stride 1, max-pool", "told")
    assert not any("integrity is unknown" in note for note in back.info.notes)
