"""The arguments of timm's constructors that files record, held against a list: none may fetch or run anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.named import candidate_by_name
from repdiag.checkpoints.architectures.pooling import NAMES_OF_TIMM
from repdiag.checkpoints.architectures.said import as_said
from repdiag.checkpoints.facts import Fact, Origin, recorded
from repdiag.checkpoints.formats.format import Facts

_LARGEST = 16_384  # widths; pixels
_DEEPEST = 1_000  # layers, stages, heads
_NUMBERS = frozenset((
    *("img_size", "patch_size", "in_chans", "embed_dim", "depth", "depths", "dims", "channels", "num_heads"),
    *("mlp_ratio", "init_values", "reg_tokens", "output_stride", "window_size", "layers", "base_width", "cardinality"),
    *("stem_width", "width", "ls_init_value", "num_reg_tokens", "attn_pool_num_heads", "attn_pool_mlp_ratio"),
    *("block_reduce_first", "down_kernel_size", "embed_dims", "mlp_ratios", "num_stages", "growth_rate", "rope_theta"),
    *("bn_eps",),
    *("channel_multiplier", "group_size", "num_features", "head_hidden_size", "kernel_sizes", "ref_feat_shape"),
))  # fmt: skip
_SWITCHES = frozenset((
    *("qkv_bias", "qk_norm", "proj_bias", "class_token", "no_embed_class", "pre_norm", "final_norm", "fc_norm"),
    *("pool_include_prefix", "dynamic_img_size", "dynamic_img_pad", "strict_img_size", "conv_mlp", "use_grn"),
    *("avg_down", "scale_attn_norm", "scale_mlp_norm", "use_abs_pos_emb", "use_rot_pos_emb", "use_rel_pos_bias"),
    *("use_shared_rel_pos_bias", "swiglu_mlp", "scale_mlp", "use_post_norm", "head_norm_first", "always_partition"),
    *("use_fc_norm", "rope_rotate_half", "qkv_fused", "conv_bias", "attn_pool_include_prefix"),
))  # fmt: skip
_WORDS = frozenset(("global_pool", "act_layer", "stem_type", "pos_embed", "pad_type", "attn_type", "rope_type"))
# Of training alone, or what is removed here anyway.
_IDLE = ("num_classes", "drop", "proj_drop", "attn_drop", "pos_drop", "patch_drop", "weight_init", "fix_init",
         "head_init_scale", "grad_checkpointing", "pretrained", "features_only", "scriptable")  # fmt: skip
_ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu", "ReLU": "relu"}
_LAYERED = ("depth", "layers", "num_heads", "reg", "heads")


def timm_settings(raw: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments that may be given to timm, and the names of those that are not understood."""
    settings: dict[str, Any] = {}
    odd: list[str] = []
    for name, value in raw.items() if isinstance(raw, Mapping) else ():
        if not isinstance(name, str) or name.startswith(_IDLE) or value is None:
            continue
        if _is_understood(name, value):
            settings[name] = tuple(value) if isinstance(value, list) else value
        else:
            odd.append(name[:40])
    settings.pop("in_chans", None) if settings.get("in_chans") == 3 else None
    return settings, tuple(odd[:8])


def _is_understood(name: str, value: Any) -> bool:
    if name in _SWITCHES:
        return isinstance(value, bool)
    if name in _WORDS:
        return isinstance(value, str) and len(value) < 40
    most = _DEEPEST if any(part in name for part in _LAYERED) else _LARGEST
    values = value if isinstance(value, list | tuple) else [value]
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in values)
    return name in _NUMBERS and numbers and len(values) <= 16 and all(0 <= item <= most for item in values)


def recorded_networks(arch: object, settings: Mapping[str, Any], facts: Facts, *, where: str) -> list[Candidate]:
    """Return the network that a name of timm and its recorded arguments describe; none without arguments."""
    import timm

    if not settings or not isinstance(arch, str):
        return []
    name = arch.rpartition(":")[2].removeprefix("timm/").partition(".")[0]
    if not timm.is_model(name):
        return []
    found = tuple(
        Fact.of(argument.replace("_", " "), value, recorded(where))
        for argument, value in settings.items()
        if argument not in ("global_pool", "img_size")
    )
    said = as_said(candidate_by_name(f"timm:{name}", settings), facts)
    return [Candidate(**{**vars(said), "facts": (*found, *said.facts)})]


def facts_in_name(arch: object, facts: Facts) -> Facts:
    """Return the facts with what a recorded name of timm stands for: heads, epsilon and activation of a transformer."""
    import timm
    import torch
    from timm.models.vision_transformer import VisionTransformer

    name = arch.rpartition(":")[2].removeprefix("timm/").partition(".")[0] if isinstance(arch, str) else ""
    if not timm.is_model(name) or not name.startswith(("vit", "deit")):
        return facts
    with torch.device("meta"):
        network: Any = timm.create_model(name, num_classes=0)
    if not isinstance(network, VisionTransformer) or not len(network.blocks):
        return facts
    block: Any = network.blocks[0]
    activation = _ACTIVATIONS.get(type(getattr(block.mlp, "act", None)).__name__)
    eps = getattr(block.norm1, "eps", None)
    known = {
        **({"heads": {network.embed_dim: block.attn.num_heads}} if hasattr(block.attn, "num_heads") else {}),
        **({"norm_eps": eps} if isinstance(eps, float) and facts.norm_eps is None else {}),
        **({"activation": activation} if activation and facts.activation is None else {}),
    }
    return facts.with_origin(Origin("names", f"the architecture {name}"), **known)


def pool_of_timm(name: object) -> str | None:
    """Return our name for one of timm's poolings; None for what is not one."""
    names = NAMES_OF_TIMM | {"catavgmax": "mean,max", "fastcatavgmax": "mean,max"}
    return names.get(name) if isinstance(name, str) else None
