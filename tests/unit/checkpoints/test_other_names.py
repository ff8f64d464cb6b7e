"""Networks of timm under the names of Hugging Face transformers, OpenCLIP and their authors compute what they did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from repdiag.checkpoints.architectures.vit_pytorch import vit_pytorch_candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.load import load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import State, perturbed, resnet18, vit

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


def folder_of(path: Path, state: State, **files: Any) -> Path:
    torch.save(state, path / "pytorch_model.bin")
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("processor", "wanted"),
    [
        ({"size": {"height": 64, "width": 64}}, (64, None, True)),
        ({"size": {"height": 80, "width": 80}, "do_center_crop": True, "crop_size": 64}, (64, 80, True)),
        (
            {"size": {"shortest_edge": 80}, "do_center_crop": True, "crop_size": {"height": 64, "width": 64}},
            (64, 80, False),
        ),
        (
            {"size": {"shortest_edge": 64}, "crop_pct": 0.8, "image_processor_type": "ConvNextImageProcessor"},
            (64, 80, False),
        ),
        ({"size": 64, "feature_extractor_type": "ViTFeatureExtractor"}, (64, None, True)),
    ],
)
def test_the_framing_of_processors(processor: dict[str, Any], wanted: tuple[Any, ...], tmp_path: Path) -> None:
    _, state = _vit(new=False)
    config = {"model_type": "vit", "num_attention_heads": 3}
    pixels = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
    info = load_encoder(folder_of(tmp_path, state, config=config, preprocessor_config={**pixels, **processor})).info
    assert (info.image_size, info.resize, info.squash) == wanted
    assert (info.mean, info.interpolation) == ((0.5, 0.5, 0.5), "bicubic")


def test_normalisation_that_is_off_or_missing(tmp_path: Path) -> None:
    _, state = _vit(new=False)
    config = {"model_type": "vit", "num_attention_heads": 3, "image_size": 64}
    missing = load_encoder(folder_of(tmp_path, state, config=config)).info
    assert (missing.mean, missing.squash) == ((0.5, 0.5, 0.5), True)
    assert any("--mean" in note for note in missing.notes)
    off = {"do_normalize": False, "size": {"height": 64, "width": 64}}
    info = load_encoder(folder_of(tmp_path, state, config=config, preprocessor_config=off)).info
    assert (info.mean, info.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_an_activation_that_nothing_here_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    _, state = _vit(new=False)
    config = {"model_type": "vit", "num_attention_heads": 3, "hidden_act": "mish"}
    with pytest.raises(CheckpointError, match="records what none of the networks here does") as caught:
        load_encoder(folder_of(tmp_path, state, config=config))
    assert "hidden_act mish" in str(caught.value.found)


def test_a_timm_tower_of_openclip_is_projected(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = perturbed(timm.create_model("convnext_atto", num_classes=0), 0)
    head = torch.randn(16, 320)
    state = {f"visual.trunk.{name}": value for name, value in trunk.state_dict().items()}
    torch.save(
        {"state_dict": state | {"visual.head.proj.weight": head, "logit_scale": torch.ones(())}}, tmp_path / "x.pt"
    )
    assert gap(load_encoder(tmp_path / "x.pt")(images()), trunk(images()) @ head.T) < 1e-5


def test_vit_pytorch_written_out(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "cls_token": (1, 1, 64),
        "pos_embedding": (1, 17, 64),
        "to_patch_embedding.2.weight": (64, 768),
        "transformer.layers.0.0.to_qkv.weight": (384, 64),
        "transformer.layers.0.0.to_out.0.weight": (64, 128),
        "transformer.layers.0.1.net.1.weight": (96, 64),
        "transformer.layers.0.1.net.4.weight": (64, 96),
    }
    biases = {
        "to_patch_embedding.2": 64,
        "transformer.layers.0.0.to_out.0": 64,
        "transformer.layers.0.1.net.1": 96,
        "transformer.layers.0.1.net.4": 64,
    }
    norms = {
        "to_patch_embedding.1": 768,
        "to_patch_embedding.3": 64,
        "transformer.norm": 64,
        "transformer.layers.0.0.norm": 64,
        "transformer.layers.0.1.net.0": 64,
    }
    state = {name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()}
    for name, width in {**biases, **norms}.items():
        state[f"{name}.bias"] = torch.randn(width, generator=generator)
    state |= {f"{name}.weight": torch.rand(width, generator=generator) + 0.5 for name, width in norms.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", torch.zeros(()))

    x = images().unfold(2, 16, 16).unfold(3, 16, 16)  # [B, 3, rows, columns, 16, 16]
    x = x.permute(0, 2, 3, 4, 5, 1).reshape(2, 16, 768)
    x = norm(linear(norm(x, "to_patch_embedding.1"), "to_patch_embedding.2"), "to_patch_embedding.3")
    x = torch.cat([state["cls_token"].expand(2, -1, -1), x], dim=1) + state["pos_embedding"]
    inner = linear(norm(x, "transformer.layers.0.0.norm"), "transformer.layers.0.0.to_qkv").chunk(3, dim=-1)
    query, key, value = (part.reshape(2, 17, 2, 64).transpose(1, 2) for part in inner)
    mixed = ((query @ key.transpose(-1, -2)) / 8).softmax(-1) @ value
    x = x + linear(mixed.transpose(1, 2).reshape(2, 17, 128), "transformer.layers.0.0.to_out.0")
    hidden = F.gelu(linear(norm(x, "transformer.layers.0.1.net.0"), "transformer.layers.0.1.net.1"))
    x = norm(x + linear(hidden, "transformer.layers.0.1.net.4"), "transformer.norm")
    torch.save(state, tmp_path / "x.pt")
    encoder = load_encoder(tmp_path / "x.pt")
    assert encoder.info.image_size == 64
    assert gap(encoder(images()), x[:, 0]) < 1e-5
    assert gap(load_encoder(tmp_path / "x.pt", pool="mean")(images()), x.mean(1)) < 1e-5
    assert vit_pytorch_candidates({**state, "transformer.layers.0.0.to_qkv.weight": torch.ones(100, 64)}, Facts()) == []


def test_a_small_images_vgg_ends_at_its_last_map(tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(0)
    network: Any = perturbed(torchvision.models.vgg11_bn(), 0)
    state = {f"module.{name}": value for name, value in network.state_dict().items() if name.startswith("features.")}
    torch.save({"net": state | {"module.classifier.weight": torch.zeros(10, 512)}}, tmp_path / "x.pt")
    encoder = load_encoder(tmp_path / "x.pt")
    assert encoder.info.image_size == 32
    assert gap(encoder(images(32)), network.features(images(32)).flatten(1)) < 1e-5


def test_folders_of_other_programs(tmp_path: Path) -> None:
    inner = tmp_path / "lightning_logs" / "version_0" / "checkpoints"
    inner.mkdir(parents=True)
    network = resnet18()
    torch.save({"state_dict": dict(network.state_dict())}, inner / "epoch=1.ckpt")
    assert gap(load_encoder(tmp_path)(images()), network(images())) < 1e-5
    torch.save({}, inner / "last.ckpt")
    with pytest.raises(CheckpointError, match="holds 2 checkpoints") as caught:
        load_encoder(tmp_path)
    assert "epoch=1.ckpt" in str(caught.value.found)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="adapter"):
        load_encoder(tmp_path)
