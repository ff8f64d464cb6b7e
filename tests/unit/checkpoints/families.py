"""Files of each family, laid out as the original code lays them out, around real modules whose output is the truth."""

from __future__ import annotations

import argparse
import itertools
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

State = dict[str, Tensor]


@dataclass(frozen=True)
class Family:
    """A file's content, the format that must be recognised, and what the branches must compute."""

    tree: Any
    name: str
    branches: dict[str, nn.Module]
    image_size: int = 64
    default: str | None = None
    sidecars: dict[str, Any] = field(default_factory=dict)
    safetensors: bool = False


def perturbed(module: nn.Module, seed: int) -> nn.Module:
    """Return the module in eval mode with statistics and affine parameters that differ everywhere."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if value.is_floating_point() and value.ndim <= 1:
            noise = torch.rand(value.shape, generator=generator)
            value.data = noise + 0.5 if name.endswith(("weight", "running_var")) else noise - 0.5
    return module.eval().requires_grad_(False)


def resnet18(seed: int = 0, *, cifar: int | None = None) -> nn.Module:
    torch.manual_seed(seed)
    module = torchvision.models.resnet18()
    module.fc = nn.Identity()
    if cifar is not None:
        module.conv1 = nn.Conv2d(3, 64, 3, padding=cifar, bias=False)
        module.maxpool = nn.Identity()
    return perturbed(module, seed)


def vit(seed: int = 0, *, width: int = 192, heads: int = 3, size: int = 64, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    options = {"num_classes": 0, "patch_size": 16, **options}
    module = timm.models.vision_transformer.VisionTransformer(
        img_size=size, embed_dim=width, depth=2, num_heads=heads, **options
    )
    return perturbed(module, seed)


def torchvision_vit(*, size: int, width: int = 768) -> nn.Module:
    torch.manual_seed(0)
    settings = {"patch_size": 16, "num_layers": 2, "num_heads": width // 64, "hidden_dim": width, "mlp_dim": 2 * width}
    module = torchvision.models.VisionTransformer(image_size=size, **settings)
    module.heads = nn.Identity()
    return perturbed(module, 0)


def mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first, second in itertools.pairwise(widths):
        layers += [nn.Linear(first, second), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def under(prefix: str, module: nn.Module) -> State:
    return {prefix + name: value for name, value in module.state_dict().items()}


def listed(module: nn.Module) -> nn.Module:
    """Return a ResNet as lightly and the BYOL ports do: the list of its children."""
    return nn.Sequential(*list(module.children())[:-1], nn.Flatten())


def _lightning(state: State, **more: Any) -> dict[str, Any]:
    return {"epoch": 1, "global_step": 2, "pytorch-lightning_version": "2.6.6", "state_dict": state, **more}


def _moco_v3(width: int, heads: int) -> Family:
    base, momentum = (vit(seed, width=width, heads=heads) for seed in (1, 2))
    state = under("module.base_encoder.", base) | under("module.momentum_encoder.", momentum)
    state |= under("module.base_encoder.head.", mlp(width, 64, 32)) | under("module.predictor.", mlp(32, 32))
    tree = {"epoch": 1, "arch": "vit_small", "state_dict": state, "optimizer": {}}
    return Family(tree, "moco_v3", {"base": base, "momentum": momentum})


def _moco_v3_conv() -> Family:
    def net(seed: int) -> nn.Module:
        module = vit(seed, width=384, heads=12)
        stem: list[nn.Module] = []
        for before, after in itertools.pairwise((3, 48, 96, 192, 384)):
            stem += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        module.patch_embed.proj = nn.Sequential(*stem, nn.Conv2d(384, 384, 1))  # type: ignore[union-attr]
        return perturbed(module, seed)

    base, momentum = net(1), net(2)
    state = under("module.base_encoder.", base) | under("module.momentum_encoder.", momentum)
    tree = {"arch": "vit_conv_small", "state_dict": state}
    return Family(tree, "moco_v3", {"base": base, "momentum": momentum})


def _simclr_v2() -> Family:
    torch.manual_seed(0)
    net = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1])
    net.fc = nn.Identity()
    net = perturbed(net, 0)
    names = {}
    for name, value in net.state_dict().items():
        place, _, leaf = name.rpartition(".")
        stage = re.sub(r"^layer(\d)\.(\d+)\.", r"net.\1.blocks.\2.", place + ".")
        inner = {
            "downsample.0.": "projection.shortcut.",
            "downsample.1.": "projection.bn.0.",
            "bn1.": "net.1.0.",
            "conv1.": "net.0.",
            "conv2.": "net.2.",
            "bn2.": "net.3.0.",
            "conv3.": "net.4.",
            "bn3.": "net.5.0.",
        }
        if stage in ("conv1.", "bn1."):
            names[("net.0.0." if stage == "conv1." else "net.0.1.0.") + leaf] = value
        else:
            short = next(key for key in inner if stage.endswith(key))
            names[stage.removesuffix(short) + inner[short] + leaf] = value
    names["fc.weight"] = torch.zeros(1000, 2048)
    head = {f"layers.{name}": value for name, value in mlp(2048, 64, 32).state_dict().items()}
    return Family({"resnet": names, "head": head}, "simclr_v2", {"online": net})


def _swav_wide() -> Family:
    torch.manual_seed(0)
    net = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1])
    net.conv1, net.bn1 = nn.Conv2d(3, 128, 7, 2, 3, bias=False), nn.BatchNorm2d(128)
    net.inplanes, net.fc = 128, nn.Identity()
    for stage in range(4):
        layer = net._make_layer(torchvision.models.resnet.Bottleneck, 128 * 2**stage, 1, stride=1 + (stage > 0))
        setattr(net, f"layer{stage + 1}", layer)
    net = perturbed(net, 0)
    state = under("module.", net) | under("module.projection_head.", mlp(4096, 64, 32))
    state |= {"module.prototypes.weight": torch.zeros(16, 32)}
    return Family(OrderedDict(state), "swav", {"online": net})


def _torchvision_vit() -> Family:
    net = torchvision_vit(size=96)
    tree = {"model": dict(net.state_dict()), "lr_scheduler": {}, "args": argparse.Namespace(model="vit_b_16")}
    tree["model_ema"] = under("module.", net) | {"n_averaged": torch.tensor(3)}
    return Family(tree, "torchvision", {"online": net, "ema": net}, image_size=96)


def _timm_hub() -> Family:
    net = perturbed(timm.create_model("mobilenetv3_small_050", num_classes=0), 0)
    config = {"architecture": "mobilenetv3_small_050", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    return Family(dict(net.state_dict()), "timm_hub", {"online": net}, sidecars={"config.json": config})


def _simsiam() -> Family:
    net = resnet18()
    state = under("module.encoder.", net) | under("module.encoder.fc.", mlp(512, 64, 32))
    state |= under("module.predictor.", mlp(32, 32))
    return Family({"epoch": 1, "arch": "resnet18", "state_dict": state}, "simsiam", {"online": net})


def _barlow(norm: bool) -> Family:
    net = resnet18()
    state = under("module.backbone.", net) | under("module.projector.", mlp(512, 32, 16))
    state |= under("module.bn.", nn.BatchNorm1d(16, affine=False)) if norm else {}
    return Family({"epoch": 1, "model": state}, "barlow_twins" if norm else "vicreg", {"online": net})


def _dino(ibot: bool) -> Family:
    student, teacher = vit(1), vit(2)
    head = nn.Sequential(nn.Linear(192, 64), nn.GELU(), nn.Linear(64, 32))
    states = [
        under(f"{wrap}backbone.", net)
        | under(f"{wrap}head.mlp.", head)
        | {f"{wrap}head.last_layer.weight_g": torch.ones(8, 1)}
        for wrap, net in (("module.", student), ("", teacher))
    ]
    loss = {"center": torch.zeros(1, 8)}
    tree = {"student": states[0], "teacher": states[1], "epoch": 1, "args": argparse.Namespace(arch="vit_tiny")}
    tree |= {"ibot_loss": loss} if ibot else {"dino_loss": loss}
    return Family(tree, "ibot" if ibot else "dino", {"teacher": teacher, "student": student})


def _dinov2(*, chunked: bool, registers: int = 0) -> Family:
    net = vit(patch_size=8, init_values=1.0, reg_tokens=registers, no_embed_class=False)
    state = dict(net.state_dict()) | {"mask_token": torch.zeros(1, 192)}
    if registers:
        state["register_tokens"] = state.pop("reg_token")
    if chunked:
        state = {name.replace("blocks.", "blocks.0.", 1): value for name, value in state.items()}
        tree: Any = {"teacher": {f"backbone.{name}": value for name, value in state.items()}}
        tree["teacher"]["dino_head.mlp.0.weight"] = torch.ones(4, 192)
        return Family(tree, "dinov2", {"teacher": net})
    return Family(OrderedDict(state), "dinov2", {"teacher": net})


def _byol() -> Family:
    nets = [resnet18(seed) for seed in (1, 2)]
    states = [under("encoder.", listed(net)) | under("projetion.net.", mlp(512, 64, 32)) for net in nets]
    tree = {"online_network_state_dict": states[0], "target_network_state_dict": states[1], "optimizer_state_dict": {}}
    return Family(tree, "byol", {"online": nets[0], "target": nets[1]})


def _sup_contrast(wrapped: bool) -> Family:
    net = resnet18(cifar=1)
    names = {name.replace("downsample", "shortcut"): value for name, value in net.state_dict().items()}
    inner = "encoder.module." if wrapped else "encoder."
    state = {inner + name: value for name, value in names.items()} | under("head.", mlp(512, 512, 128))
    options = argparse.Namespace(model="resnet18", dataset="cifar10", temp=0.1, method="SimCLR")
    return Family({"opt": options, "model": state, "epoch": 3}, "sup_contrast", {"online": net}, image_size=32)


def _solo_learn() -> Family:
    net, momentum = resnet18(1, cifar=2), resnet18(2, cifar=2)
    state = under("backbone.", net) | under("momentum_backbone.", momentum) | under("projector.", mlp(512, 64, 32))
    state |= under("classifier.", nn.Linear(512, 10)) | {"queue": torch.zeros(2, 32, 16)}
    return Family(_lightning(state), "solo_learn", {"online": net, "momentum": momentum}, image_size=32)


def _lightly(two: bool) -> Family:
    nets = [resnet18(seed) for seed in (1, 2)]
    if two:
        state = under("student_backbone.", listed(nets[0])) | under("teacher_backbone.", listed(nets[1]))
        state |= under("student_head.layers.", mlp(512, 64)) | under("teacher_head.layers.", mlp(512, 64))
        return Family(_lightning(state), "lightly", {"student": nets[0], "teacher": nets[1]})
    state = under("backbone.", listed(nets[0])) | under("backbone_momentum.", listed(nets[1]))
    state |= under("projection_head.layers.", mlp(512, 64, 32)) | under(
        "projection_head_momentum.layers.", mlp(512, 64, 32)
    )
    return Family(_lightning(state), "lightly", {"online": nets[0], "momentum": nets[1]})


def _mm() -> Family:
    net, key = resnet18(1), resnet18(2)
    state = under("backbone.", net) | under("encoder_k.module.0.", key) | under("neck.mlp.", mlp(512, 64, 32))
    state |= {"queue": torch.zeros(32, 16), "queue_ptr": torch.zeros(1)}
    tree = {"meta": {"cfg": "model = dict()", "epoch": 1}, "state_dict": state, "message_hub": argparse.Namespace()}
    return Family(tree, "mm", {"online": net, "key": key})


def _vissl() -> Family:
    net = resnet18()
    trunk = under("_feature_blocks.", net)
    tree = {"phase_idx": 1, "classy_state_dict": {"base_model": {"model": {"trunk": trunk, "heads": {}}}}}
    return Family(tree, "vissl", {"online": net})


def _seed() -> Family:
    torch.manual_seed(0)
    teacher = torchvision.models.resnet34()
    teacher.fc = nn.Identity()
    student, teacher = resnet18(1), perturbed(teacher, 3)
    state = under("module.student.", student) | under("module.teacher.", teacher)
    state |= under("module.student.fc.", mlp(512, 512, 64)) | {"module.queue": torch.zeros(64, 16)}
    tree = {"epoch": 1, "arch": "resnet18", "state_dict": state, "optimizer": {}}
    return Family(tree, "seed", {"student": student, "teacher": teacher})


def _bingo() -> Family:
    seed = _seed()
    state = {
        name.replace("student", "encoder_q").replace("teacher", "encoder_k"): value
        for name, value in seed.tree["state_dict"].items()
    }
    return Family({"state_dict": state, "epoch": 1}, "bingo", seed.branches)


def _sslight() -> Family:
    student, teacher = (resnet18(seed) for seed in (1, 2))
    state = under("module.student.backbone.encoder.", listed(student))
    state |= under("module.teacher.backbone.encoder.", listed(teacher))
    tree = {"config": argparse.Namespace(), "epoch": 1, "steps": 2, "state_dict": state}
    return Family(tree, "sslight", {"student": student, "teacher": teacher})


def _moco(notebook: bool) -> Family:
    nets = [resnet18(seed, cifar=1 if notebook else None) for seed in (1, 2)]
    state: State = {"queue": torch.zeros(32, 16), "queue_ptr": torch.zeros(1)}
    for prefix, net in zip(("encoder_q.", "encoder_k."), nets, strict=True):
        if notebook:
            children = [child for name, child in net.named_children() if name not in ("maxpool", "fc")]
            state |= under(f"{prefix}net.", nn.Sequential(*children, nn.Flatten(), nn.Linear(512, 32)))
        else:
            state |= under(f"module.{prefix}", net) | under(f"module.{prefix}fc.", mlp(512, 512, 32))
    size = 32 if notebook else 64
    return Family({"epoch": 1, "state_dict": state}, "moco", {"query": nets[0], "key": nets[1]}, image_size=size)


def _wrapped(*prefixes: str) -> Family:
    net = resnet18()
    return Family({"state_dict": under("".join(prefixes), net)}, "state_dict", {"online": net})


def _wide() -> Family:
    net = timm.models.resnet.ResNet(
        timm.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=0, channels=(96, 192, 384, 768)
    )
    net = perturbed(net, 0)
    return Family(dict(net.state_dict()), "state_dict", {"online": net})


def _simclr() -> Family:
    net = resnet18()
    state = under("backbone.", net) | under("backbone.fc.", mlp(512, 512, 32))
    return Family({"epoch": 1, "arch": "resnet18", "state_dict": state}, "simclr", {"online": net})


def _timm_named(name: str) -> Family:
    torch.manual_seed(0)
    net = perturbed(timm.create_model(name, num_classes=0), 0)
    return Family({"arch": name, "version": 2, "state_dict": dict(net.state_dict())}, "timm", {"online": net})


FAMILIES: dict[str, Callable[[], Family]] = {
    "moco-v3-small": lambda: _moco_v3(384, 12),
    "moco-v3-base": lambda: _moco_v3(768, 12),
    "simsiam": _simsiam,
    "barlow-twins": lambda: _barlow(norm=True),
    "vicreg": lambda: _barlow(norm=False),
    "dino": lambda: _dino(ibot=False),
    "ibot": lambda: _dino(ibot=True),
    "dinov2-training": lambda: _dinov2(chunked=True),
    "dinov2-released": lambda: _dinov2(chunked=False),
    "moco-v3-conv": _moco_v3_conv,
    "simclr-v2": _simclr_v2,
    "swav-wide": _swav_wide,
    "torchvision-vit": _torchvision_vit,
    "timm-hub": _timm_hub,
    "byol": _byol,
    "sup-contrast": lambda: _sup_contrast(wrapped=False),
    "sup-contrast-parallel": lambda: _sup_contrast(wrapped=True),
    "solo-learn-cifar": _solo_learn,
    "lightly-moco": lambda: _lightly(two=False),
    "lightly-dino": lambda: _lightly(two=True),
    "mm": _mm,
    "vissl": _vissl,
    "seed": _seed,
    "bingo": _bingo,
    "sslight-dino": _sslight,
    "moco": lambda: _moco(notebook=False),
    "moco-notebook": lambda: _moco(notebook=True),
    "simclr": _simclr,
    "plain": lambda: _wrapped(""),
    "plain-parallel": lambda: _wrapped("module."),
    "plain-compiled": lambda: _wrapped("_orig_mod.", "module."),
    "plain-model-backbone": lambda: _wrapped("model.", "backbone."),
    "plain-encoder": lambda: _wrapped("module.", "encoder."),
    "plain-wide": _wide,
    "timm-tf-efficientnet": lambda: _timm_named("tf_efficientnet_b0"),
    "timm-convnext": lambda: _timm_named("convnext_atto"),
}
