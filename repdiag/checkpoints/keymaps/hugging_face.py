"""Networks under the names of Hugging Face transformers: as its folders have them, and as its modules do since v5."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from repdiag.checkpoints.architectures.beits import beit_candidates
from repdiag.checkpoints.architectures.convnexts import convnext_candidates
from repdiag.checkpoints.architectures.rotary_transformers import dinov3_candidates
from repdiag.checkpoints.architectures.swins import swin_candidates
from repdiag.checkpoints.keymaps.keymap import Keymap, State
from repdiag.checkpoints.keymaps.renaming import Replacement, all_names, any_name, by_patterns
from repdiag.core.errors import CheckpointError

_BLOCKS: tuple[tuple[str, Replacement], ...] = (
    (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
    (r"\.(attention|self_attn)\.(q|k|v)_proj\.", r".attn.\2_proj."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.(attention|self_attn)\.(o|out)_proj\.", ".attn.proj."),
    (r"\.(layernorm_before|norm1|layer_norm1)\.", ".norm1."),
    (r"\.(layernorm_after|norm2|layer_norm2)\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"\.mlp\.weights_in\.", ".mlp.fc1."),
    (r"\.mlp\.weights_out\.", ".mlp.fc2."),
)
_STEM: tuple[tuple[str, Replacement], ...] = (
    (r"^vision_model\.", ""),
    (r"^embeddings\.(cls_token|class_embedding)$", "cls_token"),
    (r"^embeddings\.mask_token$", "mask_token"),
    (r"^embeddings\.(register_tokens|distillation_token)$", "reg_token"),
    (r"^embeddings\.(position_embeddings|position_embedding\.weight)$", "pos_embed"),
    (r"^embeddings\.(patch_embeddings\.projection|patch_embeddings|patch_embedding)\.", "patch_embed.proj."),
    (r"^(encoder\.|model\.)?layers?\.(?=\d)", "blocks."),
)
_NAMES = by_patterns(
    *_STEM,
    *_BLOCKS,
    (r"^(layernorm|post_layernorm)\.", "norm."),
    (r"^pre_la?yrnorm\.", "norm_pre."),
    (r"^visual_projection\.", "head."),
)


def plain_name(name: str) -> str:
    """Return one name for what transformers calls differently in files and in memory, or before and since version 5."""
    (found,) = _NAMES({name: torch.empty(0)})
    return re.sub(r"\.(query|key|value)\.", lambda match: f".{match[1][0]}_proj.", found)


_QUERY = re.compile(r"(.*\.attn)\.(query|q_proj)\.(weight|bias)")


def _joined(state: State) -> State:
    """Return the state dict with queries, keys and values in one tensor, as timm has them."""
    found = dict(state)
    for match in [match for match in map(_QUERY.fullmatch, state) if match]:
        others = ("query", "key", "value") if match[2] == "query" else ("q_proj", "k_proj", "v_proj")
        names = [f"{match[1]}.{part}.{match[3]}" for part in others]
        if not all(name in found for name in names):
            raise CheckpointError(
                "a query has no key or value beside it", found=match[0][:80], hint="--prefix, or another file"
            )
        found[f"{match[1]}.qkv.{match[3]}"] = torch.cat([found.pop(name) for name in names])
    return found


def _gated(state: State) -> State:
    """Return the state dict with the two halves of gated MLPs in one tensor, the gate first, as timm has them."""
    found = dict(state)
    for name in [name for name in state if ".mlp.gate_proj." in name]:
        other = name.replace(".gate_proj.", ".up_proj.")
        if other in found:
            found[name.replace(".gate_proj.", ".fc1.")] = torch.cat([found.pop(name), found.pop(other)])
    return {name.replace(".mlp.down_proj.", ".mlp.fc2."): value for name, value in found.items()}


def _transformer(state: Mapping[str, Tensor]) -> State:
    renamed = _gated(_joined(_NAMES(state)))
    if "pos_embed" in renamed and renamed["pos_embed"].ndim == 2:
        renamed["pos_embed"] = renamed["pos_embed"][None]
    if "cls_token" in renamed:
        renamed["cls_token"] = renamed["cls_token"].reshape(1, 1, -1)
    return renamed


def _siglip(state: Mapping[str, Tensor]) -> State:
    """Rename, and put the attention pooling of torch's own module under the names of timm's."""
    renamed = _transformer(state)
    pool = {name: renamed.pop(name) for name in [name for name in renamed if name.startswith("head.")]}
    for kind in ("weight", "bias"):
        if f"head.attention.in_proj_{kind}" not in pool:
            continue
        query, both = pool[f"head.attention.in_proj_{kind}"].tensor_split([len(pool["head.probe"][0, 0])])
        renamed |= {f"attn_pool.q.{kind}": query, f"attn_pool.kv.{kind}": both}
        renamed[f"attn_pool.proj.{kind}"] = pool[f"head.attn.proj.{kind}"]
        for theirs, ours in (("layernorm", "norm"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
            renamed[f"attn_pool.{ours}.{kind}"] = pool[f"head.{theirs}.{kind}"]
    if "head.probe" in pool:
        renamed["attn_pool.latent"] = pool["head.probe"]
    return renamed


_BEIT_NAMES = by_patterns(
    (r"^(encoder\.)?(layers?\.\d+)\.relative_position_bias\.", r"\1\2.attn."),
    (r"^shared_position_bias\.", "rel_pos_bias."),
    (r"\.attention\.attention\.relative_position_bias\.", ".attn."),
    (r"\.attention\.relative_position_bias\.", ".attn."),
    (r"^encoder\.relative_position_bias\.", "rel_pos_bias."),
    (r"\.lambda_([12])$", r".gamma_\1"),
    *_STEM,
    *_BLOCKS,
    (r"^pooler\.layernorm\.", "fc_norm."),
    (r"^layernorm\.", "norm."),
)


def _beit(state: Mapping[str, Tensor]) -> State:
    return _with_separate_biases(_BEIT_NAMES(state))


def _with_separate_biases(renamed: State) -> State:
    """Return weights of queries, keys and values in one tensor, the biases of the first and the last apart."""
    found = {name: value for name, value in renamed.items() if not name.endswith("relative_position_index")}
    for name in list(found):
        owner, _, leaf = name.rpartition(".")
        if leaf == "bias" and owner.endswith((".attn.query", ".attn.q_proj")):
            found[f"{owner.rpartition('.')[0]}.q_bias"] = found.pop(name)
        elif leaf == "bias" and owner.endswith((".attn.value", ".attn.v_proj")):
            found[f"{owner.rpartition('.')[0]}.v_bias"] = found.pop(name)
        elif leaf == "bias" and owner.endswith((".attn.key", ".attn.k_proj")):
            _expect_zero(found.pop(name), name)
    return _joined(found)


def _expect_zero(bias: Tensor, name: str) -> None:
    if bool(bias.any()):
        raise CheckpointError("keys have a bias, which this architecture has not", found=name[:80])


_DINOV3 = by_patterns(
    *_STEM,
    (r"\.layer_scale([12])\.lambda1$", r".gamma_\1"),
    (r"\.mlp\.gate_proj\.", ".mlp.fc1_g."),
    (r"\.mlp\.down_proj\.", ".mlp.fc2."),
    *_BLOCKS,
)


def _dinov3(state: Mapping[str, Tensor]) -> State:
    gated = any(".mlp.gate_proj." in name for name in state)
    renamed = _DINOV3(state)
    up = ".mlp.fc1_x." if gated else ".mlp.fc1."
    renamed = {name.replace(".mlp.up_proj.", up): value for name, value in renamed.items()}
    if "reg_token" in renamed and not renamed["reg_token"].shape[1]:
        del renamed["reg_token"]
    return _with_separate_biases(renamed)


_CONVNEXT = by_patterns(
    (r"^embeddings\.patch_embeddings\.", "stem.0."),
    (r"^embeddings\.layernorm\.", "stem.1."),
    (r"^encoder\.stages\.", "stages."),
    (r"^(stages\.\d+)\.downsampling_layer\.", r"\1.downsample."),
    (r"^(stages\.\d+)\.layers\.", r"\1.blocks."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.layernorm\.", ".norm."),
    (r"\.pwconv([12])\.", r".mlp.fc\1."),
    (r"\.layer_scale_parameter$", ".gamma"),
    (r"\.grn\.", ".mlp.grn."),
    (r"^layernorm\.", "head.norm."),
)
_DINOV3_CONVNEXT = by_patterns(
    (r"^model\.", ""),
    (r"^stages\.0\.downsample_layers\.", "stem."),
    (r"^(stages\.\d+)\.downsample_layers\.", r"\1.downsample."),
    (r"^(stages\.\d+)\.layers\.", r"\1.blocks."),
    (r"\.depthwise_conv\.", ".conv_dw."),
    (r"\.layer_norm\.", ".norm."),
    (r"\.pointwise_conv([12])\.", r".mlp.fc\1."),
    (r"^(layer_norm|norm)\.", "head.norm."),
)


def _convnext(state: Mapping[str, Tensor]) -> State:
    return with_flat_grn(_CONVNEXT(state))


def with_flat_grn(renamed: Mapping[str, Tensor]) -> State:
    """Return the parameters of global response normalisation as timm has them: bias and weight of one dimension."""
    names = {"beta": "bias", "gamma": "weight"}
    found: State = {}
    for name, value in renamed.items():
        owner, _, leaf = name.rpartition(".")
        if owner.endswith(".grn"):
            found[f"{owner}.{names.get(leaf, leaf)}"] = value.reshape(-1)
        else:
            found[name] = value
    return found


_SWIN = by_patterns(
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^encoder\.layers\.(\d+)\.downsample\.", lambda found: f"layers.{int(found[1]) + 1}.downsample."),
    (r"^encoder\.", ""),
    (r"\.attention\.self\.relative_position_bias_table$", ".attn.relative_position_bias_table"),
    (r"\.attention\.relative_position_bias\.relative_position_bias_table$", ".attn.relative_position_bias_table"),
    (r"\.attention\.self\.(query|key|value)\.", r".attn.\1."),
    (r"^(layers\.\d+\.blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    *_BLOCKS,
    (r"^layernorm\.", "norm."),
)


def _swin(state: Mapping[str, Tensor]) -> State:
    renamed = _joined(_SWIN(state))
    return {name: value for name, value in renamed.items() if not name.endswith("relative_position_index")}


_QKV = r"(vision_model\.)?(encoder\.|model\.)?layers?\.0\.(attention\.attention\.query|(attention|self_attn)\.q_proj)\."
_TEXTS = ("text_model.", "text_projection.", "logit_scale", "logit_bias")
_PATCHES = r"(vision_model\.)?embeddings\.patch_embeddings?\."
SWIN = Keymap(
    name="Hugging Face Swin",
    applies=lambda state: (
        any_name(state, r"encoder\.layers\.0\.blocks\.0\.attention\.(self\.query|q_proj)\.")
        and not any_name(state, r"encoder\.layers\.0\.blocks\.0\.attention\.(self\.)?(continuous|logit_scale)")
    ),
    convert=_swin,
    candidates=swin_candidates,
)
BEIT = Keymap(
    name="Hugging Face BEiT, Data2Vec",
    applies=lambda state: (
        all_names(state, [_PATCHES, _QKV])
        and (any_name(state, r"(encoder\.)?layers?\.0\.lambda_1") or any_name(state, r".*relative_position_bias_table"))
    ),
    convert=_beit,
    candidates=beit_candidates,
)
DINOV3 = Keymap(
    name="Hugging Face DINOv3",
    applies=lambda state: all_names(
        state, [r"(model\.)?layer\.0\.attention\.q_proj\.", r"embeddings\.patch_embeddings\."]
    ),
    convert=_dinov3,
    candidates=dinov3_candidates,
    defaults={"norm_eps": 1e-5, "pool": "token"},
)
DINOV3_CONVNEXT = Keymap(
    name="Hugging Face DINOv3 ConvNeXt",
    applies=lambda state: any_name(state, r"(model\.)?stages\.0\.layers\.0\.depthwise_conv\."),
    convert=_DINOV3_CONVNEXT,
    candidates=convnext_candidates,
)
CONVNEXT = Keymap(
    name="Hugging Face ConvNeXt",
    applies=lambda state: all_names(state, [r"encoder\.stages\.0\.layers\.0\.dwconv\.", r"embeddings\.layernorm\."]),
    convert=_convnext,
    candidates=convnext_candidates,
)
CLIP = Keymap(
    name="Hugging Face CLIP",
    applies=lambda state: all_names(state, [r"(vision_model\.)?embeddings\.class_embedding", _QKV]),
    convert=_transformer,
    facts={"project": True},
    defaults={"norm_eps": 1e-5, "resample": "bicubic", "activation": "quick_gelu", "pool": "token"},
    beside=_TEXTS,
)
SIGLIP = Keymap(
    name="Hugging Face SigLIP",
    applies=lambda state: (
        all_names(state, [r"(vision_model\.)?embeddings\.position_embedding\.weight", _QKV])
        and not any_name(state, r"(vision_model\.)?embeddings\.class_embedding")
    ),
    convert=_siglip,
    defaults={"norm_eps": 1e-6, "resample": "bicubic", "activation": "gelu_tanh"},
    beside=_TEXTS,
)
VIT = Keymap(
    name="Hugging Face ViT, DeiT",
    applies=lambda state: all_names(
        state, [_PATCHES, _QKV, r"(encoder\.)?layers?\.0\.layernorm_before\.", r"embeddings\.position_embeddings"]
    ),
    convert=_transformer,
    defaults={"norm_eps": 1e-12, "resample": "bicubic"},
)
DINOV2_REGISTERS = Keymap(
    name="Hugging Face DINOv2 with registers",
    applies=lambda state: all_names(state, [_PATCHES, _QKV, r"embeddings\.register_tokens"]),
    convert=_transformer,
    facts={"resample": "antialiased"},
    defaults={"norm_eps": 1e-6},
)
DINOV2 = Keymap(
    name="Hugging Face DINOv2",
    applies=lambda state: all_names(state, [_PATCHES, _QKV, r"embeddings\.position_embeddings"]),
    convert=_transformer,
    defaults={"norm_eps": 1e-6, "resample": "bicubic"},
)
