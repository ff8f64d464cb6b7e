"""More files of the families, saved in other ways, with the projection heads that the original code has in them."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn

from tests.unit.checkpoints.families import Family, State, listed, mlp, perturbed, resnet18, under, vit

Heads = dict[str, nn.Module]


def normed(*widths: int) -> nn.Sequential:
    """Return linear layers with normalisation and activation between them."""
    layers: list[nn.Module] = [nn.Linear(widths[0], widths[1])]
    for before, after in itertools.pairwise(widths[1:]):
        layers += [nn.BatchNorm1d(before), nn.ReLU(), nn.Linear(before, after)]
    perturbed(module := nn.Sequential(*layers), 7)
    return module


def dino_head(width: int) -> nn.Sequential:
    perturbed(module := nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 32)), 8)
    return module


def _lightning(state: State, **more: Any) -> dict[str, Any]:
    return {"epoch": 1, "global_step": 2, "pytorch-lightning_version": "2.6.6", "state_dict": state, **more}


def _moco_query_only() -> tuple[Family, Heads]:
    net, head = resnet18(), mlp(512, 512, 32)
    state = under("module.encoder_q.", net) | under("module.encoder_q.fc.", head)
    tree = {"epoch": 800, "arch": "resnet18", "state_dict": state}
    return Family(tree, "moco", {"query": net}), {"query": head}


def _moco_saved_again() -> tuple[Family, Heads]:
    nets, head = {"query": resnet18(1), "key": resnet18(2)}, mlp(512, 512, 32)
    state: State = {}
    for prefix, net in zip(("_orig_mod.module.encoder_q.", "_orig_mod.module.encoder_k."), nets.values(), strict=True):
        state |= under(prefix, net) | under(f"{prefix}fc.", head)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    for module in (*nets.values(), head):
        module.half().float()
    return Family({"model": halves}, "moco", nets), {"query": head, "key": head}


def _solo_learn_imagenet() -> tuple[Family, Heads]:
    net, head = resnet18(), normed(512, 64, 32)
    state = under("backbone.", net) | under("projector.", head) | under("classifier.", nn.Linear(512, 10))
    return Family(_lightning(state), "solo_learn", {"online": net}), {"online": head}


def _solo_learn_dino() -> tuple[Family, Heads]:
    net, head = resnet18(cifar=2), dino_head(512)
    state = under("backbone.", net) | under("head.mlp.", head) | {"head.last_layer.weight_g": torch.ones(8, 1)}
    state |= under("classifier.", nn.Linear(512, 10))
    return Family(_lightning(state), "solo_learn", {"online": net}, image_size=32), {"online": head}


def _lightly_dino() -> tuple[Family, Heads]:
    nets, head = {"student": vit(1), "teacher": vit(2)}, dino_head(192)
    state: State = {}
    for name, net in nets.items():
        state |= under(f"{name}_backbone.", net) | under(f"{name}_head.layers.", head)
        state[f"{name}_head.last_layer.weight_g"] = torch.ones(8, 1)
    return Family(_lightning(state), "lightly", nets), {"student": head, "teacher": head}


def _lightly_plain() -> tuple[Family, Heads]:
    net, head = resnet18(), normed(512, 64, 32)
    state = under("backbone.", listed(net)) | under("projection_head.layers.", head)
    state |= under("prediction_head.layers.", mlp(32, 32))
    return Family(state, "lightly", {"online": net}), {"online": head}


def _vissl(trunk: State, heads: Any, loss: Mapping[str, Tensor]) -> dict[str, Any]:
    inner = {"base_model": {"model": {"trunk": trunk, "heads": heads}, "meters": {}}, "loss": dict(loss)}
    return {"phase_idx": 1, "iteration": 3, "classy_state_dict": inner, "type": "consolidated"}


def _vissl_moco() -> tuple[Family, Heads]:
    net, twin = resnet18(1), resnet18(2)
    chain, chain2 = mlp(512, 64, 32), mlp(512, 64, 32)
    heads = under("0.clf.", chain[:2]) | under("1.clf.", chain[2:])
    loss = under("moco_encoder.module.trunk._feature_blocks.", twin) | {"queue": torch.zeros(32, 8)}
    loss |= under("moco_encoder.module.heads.0.clf.", chain2)
    tree = _vissl(under("_feature_blocks.", net), heads, loss)
    return Family(tree, "vissl", {"online": net, "momentum": twin}), {"online": chain, "momentum": chain2}


def _vissl_dino() -> tuple[Family, Heads]:
    nets, head = [vit(seed, norm_layer=partial(nn.LayerNorm, eps=1e-5)) for seed in (1, 2)], dino_head(192)
    trunks = [
        {re.sub("^cls_token", "class_token", re.sub("^pos_embed", "pos_embedding", name)): value
         for name, value in net.state_dict().items()} for net in nets
    ]  # fmt: skip
    loss = {f"momentum_teacher.trunk.{name}": value for name, value in trunks[1].items()}
    loss |= under("momentum_teacher.heads.0.mlp.", head) | {"center": torch.zeros(1, 8)}
    loss |= {"momentum_teacher.heads.0.prototypes0.weight_g": torch.ones(8, 1)}
    heads = under("0.mlp.", head) | {"0.prototypes0.weight_g": torch.ones(8, 1)}
    tree = _vissl(trunks[0], heads, loss)
    return Family(tree, "vissl", {"online": nets[0], "teacher": nets[1]}), {"online": head, "teacher": head}


def _named_neck(prefix: str, head: nn.Sequential, names: Mapping[str, str]) -> State:
    return {
        f"{prefix}{names[name.partition('.')[0]]}.{name.partition('.')[2]}": v for name, v in head.state_dict().items()
    }


def _openselfsup_byol() -> tuple[Family, Heads]:
    nets, head = [resnet18(1), resnet18(2)], normed(512, 64, 32)
    names = {"0": "fc0", "1": "bn0", "3": "fc1"}
    state = under("backbone.", nets[0]) | under("online_net.0.", nets[0]) | _named_neck("online_net.1.", head, names)
    state |= under("target_net.0.", nets[1]) | _named_neck("target_net.1.", head, names)
    tree = {"meta": {"config": "model = dict()"}, "state_dict": state}
    return Family(tree, "mm", {"online": nets[0], "target": nets[1]}), {"online": head, "target": head}


def _byol_yaox12() -> tuple[Family, Heads]:
    nets, head = [resnet18(1), resnet18(2)], normed(512, 64, 32)
    state = under("module.predictor.predictor.", mlp(32, 32))
    for owner, net in zip(("module.online_network.", "module.target_network."), nets, strict=True):
        state |= under(f"{owner}encoder.", listed(net))
        state |= _named_neck(f"{owner}projetion.", head, {"0": "l1", "1": "bn1", "3": "l2"})
    tree = {"config": {"model": {"backbone": {"type": "resnet18"}}}, "steps": 1, "model": state, "amp": None}
    return Family(tree, "byol", {"online": nets[0], "target": nets[1]}), {"online": head, "target": head}


def lukemelas(net: Any) -> State:
    """Return the tensors of a timm EfficientNet under the names of efficientnet_pytorch."""
    blocks = [(stage, block) for stage, blocks in enumerate(net.blocks) for block in range(len(blocks))]
    top = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    inner = {"conv_dw": "_depthwise_conv", "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
    flat = inner | {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    expanding = inner | {"conv_pw": "_expand_conv", "bn1": "_bn0", "bn2": "_bn1", "conv_pwl": "_project_conv"}
    expanding |= {"bn3": "_bn2"}
    state: State = {}
    for name, value in net.state_dict().items():
        place, _, leaf = name.rpartition(".")
        if match := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(.*)", place):
            stage, block = int(match[1]), int(match[2])
            table = expanding if hasattr(net.blocks[stage][block], "conv_pwl") else flat
            state[f"_blocks.{blocks.index((stage, block))}.{table[match[3]]}.{leaf}"] = value
        else:
            state[f"{top[place]}.{leaf}"] = value
    return state


def _seed_efficientnet() -> tuple[Family, Heads]:
    torch.manual_seed(0)
    student, teacher = perturbed(timm.create_model("tf_efficientnet_b0", num_classes=0), 0), resnet18(2)
    heads: Heads = {"student": mlp(1280, 64, 32), "teacher": normed(512, 64, 32)}
    state = {f"module.student.{name}": value for name, value in lukemelas(student).items()}
    state |= under("module.student.fc.", heads["student"]) | under("module.teacher.", teacher)
    state |= under("module.teacher.projection_head.", heads["teacher"])
    tree = {"epoch": 1, "arch": "efficientnet_b0", "state_dict": state}  # the name is of the repository's own code
    return Family(tree, "seed", {"student": student, "teacher": teacher}), heads


def _dinov2_both() -> tuple[Family, Heads]:
    nets, head = {"teacher": vit(1, init_values=1.0), "student": vit(2, init_values=1.0)}, dino_head(192)
    state: State = {}
    for name, net in nets.items():
        state |= under(f"{name}.backbone.", net) | {f"{name}.backbone.mask_token": torch.zeros(1, 192)}
        state |= under(f"{name}.dino_head.mlp.", head)
    return Family({"model": state, "iteration": 1}, "dinov2", nets), {"teacher": head, "student": head}


def _ibot_released() -> tuple[Family, Heads]:
    net = vit()
    state = under("module.", net) | {"module.masked_embed": torch.zeros(1, 192)}
    return Family({"state_dict": state}, "ibot_backbone", {"teacher": net}), {}


def _mae_fine_tuned() -> tuple[Family, Heads]:
    net = vit(global_pool="avg", fc_norm=True)
    tree = {"model": dict(net.state_dict()) | under("head.", nn.Linear(192, 10)), "args": argparse.Namespace(model="x")}
    return Family(tree, "state_dict", {"online": net}), {}


def _hugging_face_weights_alone() -> tuple[Family, Heads]:
    """pytorch_model.bin without its config.json: layer normalisation has the library's epsilon for ViT, 1e-12."""
    net = vit(norm_layer=partial(nn.LayerNorm, eps=1e-12))
    with torch.no_grad():  # tokens so even that the epsilon shows
        for value in (net.cls_token, net.pos_embed, *net.patch_embed.parameters()):  # type: ignore[union-attr]
            value.mul_(1e-3)  # type: ignore[operator]
    names = ((r"^blocks\.", "encoder.layer."), (r"^norm\.", "layernorm."), ("norm1", "layernorm_before"))
    names += (("norm2", "layernorm_after"), (r"mlp\.fc1", "intermediate.dense"), (r"mlp\.fc2", "output.dense"))
    names += (
        (r"attn\.proj", "attention.output.dense"),
        (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),
    )
    names += (("^cls_token", "embeddings.cls_token"), ("^pos_embed", "embeddings.position_embeddings"))
    state: State = {}
    for name, value in net.state_dict().items():
        for pattern, new in names:
            name = re.sub(pattern, new, name)  # noqa: PLW2901
        if "attn.qkv" in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                state[f"vit.{name.replace('attn.qkv', f'attention.attention.{part}')}"] = third.clone()
        else:
            state[f"vit.{name}"] = value
    return Family(state, "state_dict", {"online": net}), {}


def _anybodys() -> tuple[Family, Heads]:
    net, head = resnet18(), normed(512, 64, 32)
    state = under("learner.ssl.trunk_net.", net) | under("learner.ssl.projector.", head)
    return Family({"run": {"weights_of_epoch": state}}, "state_dict", {"online": net}), {"online": head}


def _eva() -> tuple[Family, Heads]:
    """All tensors of a plain transformer and more: biases of its own in the attention."""
    torch.manual_seed(0)
    net = perturbed(timm.create_model("eva02_tiny_patch14_224", num_classes=0), 0)
    state = dict(net.state_dict())
    for name, buffer in net.named_buffers():
        if name not in state and name.endswith("k_bias"):  # a constant of the network, which no file has
            buffer.zero_()
    tree = {"arch": "eva02_tiny_patch14_224", "version": 2, "state_dict": state}
    return Family(tree, "timm", {"online": net}, image_size=224), {}


FAMILIES_WITH_HEADS: dict[str, Callable[[], tuple[Family, Heads]]] = {
    "moco-query-only": _moco_query_only,
    "moco-half-compiled": _moco_saved_again,
    "solo-learn-imagenet-stem": _solo_learn_imagenet,
    "solo-learn-dino": _solo_learn_dino,
    "lightly-dino": _lightly_dino,
    "lightly-plain": _lightly_plain,
    "vissl-moco": _vissl_moco,
    "vissl-dino": _vissl_dino,
    "openselfsup-byol": _openselfsup_byol,
    "byol-yaox12": _byol_yaox12,
    "seed-efficientnet": _seed_efficientnet,
    "dinov2-both": _dinov2_both,
    "ibot-released": _ibot_released,
    "mae-fine-tuned": _mae_fine_tuned,
    "hugging-face-weights-alone": _hugging_face_weights_alone,
    "timm-eva": _eva,
    "anybodys": _anybodys,
}
