"""Networks of timm under the names of Hugging Face transformers, OpenCLIP and their authors compute what they did."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from repdiag.checkpoints.load import load_encoder
from tests.unit.checkpoints.families import State, perturbed, vit

SIZE = 64


def images(size: int = SIZE) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def gap(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


def renamed(state: State, *rules: tuple[str, str]) -> State:
    found = {}
    for name, value in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        found[name] = value
    return found


def split(state: State, parts: tuple[str, str, str], pattern: str = r"(.*attn)\.qkv\.(weight|bias)") -> State:
    found: State = {}
    for name, value in state.items():
        match = re.fullmatch(pattern, name)
        names = [f"{match[1]}.{part}.{match[2]}" for part in parts] if match else [name]
        found |= dict(zip(names, value.chunk(3) if match else [value], strict=True))
    return found


_BLOCK = (
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.attn\.(query|key|value)\.", r".attention.attention.\1."),
)
_NEW = (
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.([qkv])_proj\.", r".attention.\1_proj."),
)
_STEM = (
    (r"^cls_token", "embeddings.cls_token"),
    (r"^pos_embed", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),
    (r"^norm\.", "layernorm."),
)


def _vit(new: bool) -> tuple[nn.Module, State]:
    network = vit(norm_layer=partial(nn.LayerNorm, eps=1e-12))
    if new:
        state = split(network.state_dict(), ("q_proj", "k_proj", "v_proj"))
        return network, renamed(state, *_STEM, *_NEW, (r"^blocks\.", "layers."))
    state = split(network.state_dict(), ("query", "key", "value"))
    return network, renamed(state, *_STEM, *_BLOCK, (r"^blocks\.", "encoder.layer."))


def _clip() -> tuple[nn.Module, State]:
    from timm.layers.activations import QuickGELU

    network: Any = vit(pre_norm=True, act_layer=QuickGELU, norm_layer=partial(nn.LayerNorm, eps=1e-5))
    state = split(network.state_dict(), ("q_proj", "k_proj", "v_proj"))
    state = renamed(
        state,
        (r"^cls_token", "embeddings.class_embedding"),
        (r"^pos_embed", "embeddings.position_embedding.weight"),
        (r"^patch_embed\.proj", "embeddings.patch_embedding"),
        (r"^norm_pre\.", "pre_layrnorm."),
        (r"^norm\.", "post_layernorm."),
        (r"^blocks\.", "encoder.layers."),
        (r"\.attn\.proj\.", ".self_attn.out_proj."),
        (r"\.attn\.", ".self_attn."),
        (r"\.norm([12])\.", r".layer_norm\1."),
    )
    state["embeddings.class_embedding"] = state["embeddings.class_embedding"].reshape(-1)
    state["embeddings.position_embedding.weight"] = state["embeddings.position_embedding.weight"][0]
    return network, {f"vision_model.{name}": value for name, value in state.items()}


def _siglip() -> tuple[nn.Module, State]:
    network: Any = vit(class_token=False, global_pool="map", fc_norm=False, act_layer=partial(nn.GELU, "tanh"))
    state = dict(network.state_dict())
    pool = {name.removeprefix("attn_pool."): state.pop(name) for name in list(state) if name.startswith("attn_pool.")}
    state = split(state, ("q_proj", "k_proj", "v_proj"))
    state = renamed(
        state,
        (r"^pos_embed", "embeddings.position_embedding.weight"),
        (r"^norm\.", "post_layernorm."),
        (r"^patch_embed\.proj", "embeddings.patch_embedding"),
        (r"^blocks\.", "encoder.layers."),
        (r"\.attn\.proj\.", ".self_attn.out_proj."),
        (r"\.attn\.", ".self_attn."),
        (r"\.norm([12])\.", r".layer_norm\1."),
    )
    state["embeddings.position_embedding.weight"] = state["embeddings.position_embedding.weight"][0]
    state["head.probe"] = pool["latent"]
    for kind in ("weight", "bias"):
        state[f"head.attention.in_proj_{kind}"] = torch.cat([pool[f"q.{kind}"], pool[f"kv.{kind}"]])
        state[f"head.attention.out_proj.{kind}"] = pool[f"proj.{kind}"]
        state |= {f"head.layernorm.{kind}": pool[f"norm.{kind}"]}
        state |= {f"head.mlp.fc{layer}.{kind}": pool[f"mlp.fc{layer}.{kind}"] for layer in (1, 2)}
    return network, state


def _convnext(original: bool, grn: bool) -> tuple[nn.Module, State]:
    torch.manual_seed(0)
    scale = None if grn else 1e-6
    network: Any = perturbed(
        ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 16, 24, 32), num_classes=0, use_grn=grn, ls_init_value=scale), 0
    )
    if original:
        state = renamed(
            network.state_dict(),
            (r"^stem\.", "downsample_layers.0."),
            (r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1."),
            (r"\.blocks\.", "."),
            (r"conv_dw", "dwconv"),
            (r"mlp\.fc", "pwconv"),
            (r"mlp\.grn\.weight", "grn.gamma"),
            (r"mlp\.grn\.bias", "grn.beta"),
            (r"^head\.norm", "norm"),
        )
    else:
        network.head.norm.eps = 1e-12
        state = renamed(
            network.state_dict(),
            (r"^stem\.0", "embeddings.patch_embeddings"),
            (r"^stem\.1", "embeddings.layernorm"),
            (r"^stages\.", "encoder.stages."),
            (r"downsample", "downsampling_layer"),
            (r"\.blocks\.", ".layers."),
            (r"conv_dw", "dwconv"),
            (r"\.norm\.", ".layernorm."),
            (r"mlp\.fc", "pwconv"),
            (r"gamma$", "layer_scale_parameter"),
            (r"mlp\.grn\.", "grn."),
            (r"^head\.layernorm", "layernorm"),
        )
    return network, {name: value.reshape(1, 1, 1, -1) if ".grn." in name else value for name, value in state.items()}


def _swin(original: bool) -> tuple[nn.Module, State]:
    torch.manual_seed(0)
    network: Any = SwinTransformer(
        img_size=64, window_size=2, embed_dim=16, depths=(2, 2), num_heads=(2, 4), num_classes=0
    )
    state = dict(perturbed(network, 0).state_dict())
    up = (r"^layers\.(\d)\.downsample", lambda match: f"layers.{int(match[1]) - 1}.downsample")
    if original:
        return network, renamed(state, up)  # type: ignore[arg-type]
    state = split(state, ("query", "key", "value"))
    rules = ((r"\.attn\.(query|key|value|relative_position_bias_table)", r".attention.self.\1"), *_BLOCK[:5])
    state = renamed(
        state,
        up,
        *rules,
        (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),  # type: ignore[arg-type]
        (r"^patch_embed\.norm", "embeddings.norm"),
        (r"^layers\.", "encoder.layers."),
        (r"^norm\.", "layernorm."),
    )
    return network, state


def _beit() -> tuple[nn.Module, State]:
    torch.manual_seed(0)
    made: Any = Beit
    network: Any = made(
        img_size=64,
        embed_dim=64,
        depth=2,
        num_heads=2,
        num_classes=0,
        use_abs_pos_emb=False,
        use_rel_pos_bias=True,
        init_values=0.1,
        global_pool="avg",
        norm_layer=partial(nn.LayerNorm, eps=1e-12),
    )
    state = {k: v for k, v in perturbed(network, 0).state_dict().items() if "relative_position_index" not in k}
    state = split(state, ("query", "key", "value"))
    state = renamed(
        state,
        (r"\.attn\.q_bias", ".attn.query.bias"),
        (r"\.attn\.v_bias", ".attn.value.bias"),
        *_BLOCK,
        (r"\.attn\.relative", ".attention.attention.relative_position_bias.relative"),
        (r"gamma_", "lambda_"),
        (r"^blocks\.", "encoder.layer."),
        (r"^fc_norm", "pooler.layernorm"),
        *_STEM,
    )
    return network, state


def _dinov3(original: bool) -> tuple[nn.Module, State]:
    torch.manual_seed(0)
    made: Any = Eva
    network: Any = made(
        img_size=64,
        embed_dim=128,
        depth=2,
        num_heads=2,
        num_classes=0,
        qkv_bias=True,
        init_values=1e-5,
        num_reg_tokens=4,
        rope_type="dinov3",
        rope_temperature=100.0,
        rope_rotate_half=True,
        use_rot_pos_emb=True,
        use_abs_pos_emb=False,
        use_fc_norm=False,
        dynamic_img_size=True,
        global_pool="token",
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
    )
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}  # which no file has
    state = dict(perturbed(network, 0).state_dict())
    for name, buffer in network.named_buffers():
        buffer.copy_(buffers[name])
    if original:
        for block in range(2):
            query, value = (state.pop(f"blocks.{block}.attn.{part}_bias") for part in "qv")
            state[f"blocks.{block}.attn.qkv.bias"] = torch.cat([query, torch.ones_like(query), value])
            mask = torch.ones(3 * len(query))
            mask[len(query) : 2 * len(query)] = 0
            state[f"blocks.{block}.attn.qkv.bias_mask"] = mask
        state |= {"rope_embed.periods": torch.ones(16), "mask_token": torch.zeros(1, 128)}
        return network, renamed(state, (r"gamma_([12])", r"ls\1.gamma"), (r"^reg_token", "storage_tokens"))
    state = split(state, ("q_proj", "k_proj", "v_proj"))
    state = renamed(
        state,
        (r"\.attn\.([qv])_bias", r".attention.\1_proj.bias"),
        (r"\.attn\.([qkv])_proj", r".attention.\1_proj"),
        (r"\.attn\.proj", ".attention.o_proj"),
        (r"gamma_([12])", r"layer_scale\1.lambda1"),
        (r"mlp\.fc1", "mlp.up_proj"),
        (r"mlp\.fc2", "mlp.down_proj"),
        (r"^blocks\.", "layer."),
        (r"^reg_token", "embeddings.register_tokens"),
        (r"^cls_token", "embeddings.cls_token"),
        (r"^patch_embed\.proj", "embeddings.patch_embeddings"),
    )
    return network, state


NETWORKS: dict[str, Callable[[], tuple[nn.Module, State]]] = {
    "vit": lambda: _vit(new=False),
    "vit-transformers-5": lambda: _vit(new=True),
    "clip": _clip,
    "siglip": _siglip,
    "convnext": lambda: _convnext(original=False, grn=False),
    "convnext-v2": lambda: _convnext(original=False, grn=True),
    "convnext-original": lambda: _convnext(original=True, grn=False),
    "convnext-v2-original": lambda: _convnext(original=True, grn=True),
    "swin": lambda: _swin(original=False),
    "swin-original": lambda: _swin(original=True),
    "beit": _beit,
    "dinov3": lambda: _dinov3(original=False),
    "dinov3-original": lambda: _dinov3(original=True),
}


@pytest.mark.parametrize("owner", ["", "model.encoder."])
@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_those_of_the_network(name: str, owner: str, tmp_path: Path) -> None:
    network, state = NETWORKS[name]()
    tree = {"state_dict": {owner + key: value for key, value in state.items()}} if owner else state
    torch.save(tree, tmp_path / "file.pth")
    encoder = load_encoder(tmp_path / "file.pth", image_size=SIZE)
    if name in ("convnext", "convnext-v2"):
        network.head.norm.eps = 1e-6  # type: ignore[union-attr] - that of the last norm is in config.json alone
    assert gap(encoder(images()), network(images())) < 1e-5


def test_the_gates_of_dinov3_take_the_activation_that_is_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made: Any = Eva
    network: Any = made(
        img_size=SIZE, patch_size=16, embed_dim=64, depth=2, num_heads=1, qkv_bias=True, mlp_ratio=2.0, swiglu_mlp=True,
        swiglu_align_to=8, init_values=1e-5, num_reg_tokens=2, rope_type="dinov3", rope_rotate_half=True,
        rope_temperature=100.0, use_rot_pos_emb=True, use_abs_pos_emb=False, use_fc_norm=False, num_classes=0,
        global_pool="token", norm_layer=partial(nn.LayerNorm, eps=1e-5), dynamic_img_size=True,
    )  # fmt: skip
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}  # which no file has
    perturbed(network, 0)
    for name, buffer in network.named_buffers():
        buffer.copy_(buffers[name])
    for block in network.blocks:
        block.mlp.act = nn.GELU()
    state = renamed(
        network.state_dict(),
        (r"^reg_token$", "storage_tokens"),
        (r"\.gamma_([12])$", r".ls\1.gamma"),
        (r"\.mlp\.fc1_g\.", ".mlp.w1."),
        (r"\.mlp\.fc1_x\.", ".mlp.w2."),
        (r"\.mlp\.fc2\.", ".mlp.w3."),
    )
    for name in [name for name in state if name.endswith("q_bias")]:
        query, value = state.pop(name), state.pop(name.replace("q_bias", "v_bias"))
        state[name.replace("q_bias", "qkv.bias")] = torch.cat([query, torch.zeros_like(query), value])
    torch.save(state, tmp_path / "dinov3.pth")
    assumed = load_encoder(tmp_path / "dinov3.pth")
    assert any("activation silu (--activation)" in note for note in assumed.info.notes)
    encoder = load_encoder(tmp_path / "dinov3.pth", activation="gelu", heads=1)
    assert gap(encoder(images()), network(images())) < 1e-5
