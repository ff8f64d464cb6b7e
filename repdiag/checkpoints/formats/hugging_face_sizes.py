"""Settings of Hugging Face transformers' models, read from the names and shapes of their tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Size

Shapes = Mapping[str, Size]
Settings = dict[str, Any]


def _one(shapes: Shapes, pattern: str, dim: int = 0) -> int:
    """Return one size of the first tensor whose name ends so; raises `LookupError` where there is none."""
    return next(shape for name, shape in shapes.items() if re.search(rf"(^|\.){pattern}$", name))[dim]


def _each(shapes: Shapes, pattern: str, dim: int = 0) -> list[int]:
    """Return one size of each tensor whose name ends so, by the number that the pattern's last group reads."""
    found = {
        int(match[match.re.groups]): shape[dim]
        for name, shape in shapes.items()
        if (match := re.search(rf"(^|\.){pattern}$", name))
    }
    return [found[key] for key in sorted(found)]


def _depths(shapes: Shapes, pattern: str) -> list[int]:
    """Return how many blocks each stage has; the pattern's last two groups read the stage and the block."""
    found: dict[int, set[int]] = {}
    for name in shapes:
        if match := re.search(rf"(^|\.){pattern}", name):
            found.setdefault(int(match[match.re.groups - 1]), set()).add(int(match[match.re.groups]))
    return [len(found[key]) for key in sorted(found)]


def _depth(shapes: Shapes, pattern: str) -> int:
    return len({match[match.re.groups] for name in shapes if (match := re.search(rf"(^|\.){pattern}", name))})


def has_name(names: Iterable[str], pattern: str) -> bool:
    """Say whether a name has a part, from its start or after a point, that begins so."""
    return any(re.search(rf"(^|\.){pattern}", name) for name in names)


def _ratio(wide: int, narrow: int) -> int | float:
    """Return a ratio as the settings have it: a whole number where it is one."""
    return wide // narrow if wide % narrow == 0 else wide / narrow


def _per_head(width: int, usual: int = 64) -> int:
    return max(width // usual, 1)


def _side(positions: int, others: int, patch: int) -> int:
    return math.isqrt(positions - others) * patch


def _tokens(shapes: Shapes, *, block: str, patches: str, width: str) -> Settings:
    wide = _one(shapes, width)
    return {
        "hidden_size": wide,
        "num_hidden_layers": _depth(shapes, block),
        "num_attention_heads": _per_head(wide),
        "patch_size": _one(shapes, patches, 2),
    }


def yolos_settings(shapes: Shapes) -> Settings:
    """Return the settings of YOLOS, with as many detection tokens as it has."""
    found = _tokens(shapes, block=r"encoder\.layer\.(\d+)\.", patches=r"patch_embeddings\.projection\.weight",
                    width=r"embeddings\.cls_token\b")  # fmt: skip
    spare = _one(shapes, "detection_tokens", 1)
    found["hidden_size"] = _one(shapes, "detection_tokens", 2)
    found["num_attention_heads"] = _per_head(found["hidden_size"])
    side = _side(_one(shapes, r"(?<!mid_)position_embeddings", 1), 1 + spare, found["patch_size"])
    return found | {
        "intermediate_size": _one(shapes, r"intermediate\.dense\.weight"),
        "num_detection_tokens": spare,
        "image_size": [side, side],
        "use_mid_position_embeddings": has_name(shapes, r"mid_position_embeddings"),
        "qkv_bias": has_name(shapes, r"attention\.query\.bias"),
    }


def blip_settings(shapes: Shapes) -> Settings:
    """Return the settings of BLIP's image encoder."""
    patch = _one(shapes, r"patch_embedding\.weight", 2)
    wide = _one(shapes, r"patch_embedding\.weight")
    return {
        "architectures": ["BlipVisionModel"],
        "hidden_size": wide,
        "num_hidden_layers": _depth(shapes, r"encoder\.layers\.(\d+)\.self_attn\.qkv"),
        "num_attention_heads": _per_head(wide),
        "intermediate_size": _one(shapes, r"mlp\.fc1\.weight"),
        "patch_size": patch,
        "image_size": _side(_one(shapes, r"embeddings\.position_embedding", 1), 1, patch),
    }


def aimv2_settings(shapes: Shapes) -> Settings:
    """Return the settings of AIMv2, whose heads are 128 wide."""
    patch, wide = _one(shapes, r"embeddings\.patch_embed\.weight", 2), _one(shapes, r"embeddings\.patch_embed\.weight")
    return {
        "hidden_size": wide,
        "num_hidden_layers": _depth(shapes, r"encoder\.layers\.(\d+)\."),
        "num_attention_heads": _per_head(wide, 128),
        "intermediate_size": _one(shapes, r"ffn\.gate_proj\.weight"),
        "patch_size": patch,
        "image_size": _side(_one(shapes, r"embeddings\.position_embedding\.weight"), 0, patch),
        "use_head": has_name(shapes, r"head\.cls_token"),
        "qkv_bias": has_name(shapes, r"attention\.q_proj\.bias"),
        "mlp_bias": has_name(shapes, r"ffn\.gate_proj\.bias"),
    }


def swinv2_settings(shapes: Shapes) -> Settings:
    """Return the settings of Swin V2; the window is not among its tensors."""
    stem = r"patch_embeddings\.projection\.weight"
    wide = _one(shapes, stem)
    return {
        "embed_dim": wide,
        "patch_size": _one(shapes, stem, 2),
        "depths": _depths(shapes, r"encoder\.layers\.(\d+)\.blocks\.(\d+)\."),
        "num_heads": _each(shapes, r"encoder\.layers\.(\d+)\.blocks\.0\.attention\.(?:self\.)?logit_scale"),
        "mlp_ratio": _one(shapes, r"encoder\.layers\.0\.blocks\.0\.intermediate\.dense\.weight") / wide,
        "qkv_bias": has_name(shapes, r"attention\.self\.query\.bias"),
        "image_size": 256,
        "window_size": 8,
    }


def hiera_settings(shapes: Shapes) -> Settings:
    """Return the settings of Hiera, with one head in its first stage."""
    stem = r"patch_embeddings\.projection\.weight"
    wide, side = _one(shapes, stem), math.isqrt(_one(shapes, "position_embeddings", 1))
    widths = _each(shapes, r"encoder\.stages\.(\d+)\.layers\.0\.attn\.proj\.weight")
    return {
        "embed_dim": wide,
        "patch_size": [_one(shapes, stem, 2), _one(shapes, stem, 3)],
        "image_size": [4 * side, 4 * side],
        "depths": _depths(shapes, r"encoder\.stages\.(\d+)\.layers\.(\d+)\."),
        "num_heads": [width // wide for width in widths],
        "mlp_ratio": _one(shapes, r"stages\.0\.layers\.0\.mlp\.fc1\.weight") / wide,
    }


def pvt_settings(shapes: Shapes) -> Settings:
    """Return the settings of PVT, with one head in its first stage."""
    stem, block = r"encoder\.patch_embeddings\.(\d+)\.projection\.weight", r"encoder\.block\.(\d+)\.(\d+)\."
    widths, patches = _each(shapes, stem), _each(shapes, stem, 2)
    kernel = re.compile(r"(^|\.)block\.(\d+)\.0\.attention\.self\.sequence_reduction\.weight$")
    reduced = {int(found[2]): shape[2] for name, shape in shapes.items() if (found := kernel.search(name))}
    wide = _each(shapes, r"encoder\.block\.(\d+)\.0\.mlp\.dense1\.weight")
    first = _one(shapes, r"encoder\.patch_embeddings\.0\.position_embeddings", 1)
    return {
        "hidden_sizes": widths,
        "depths": _depths(shapes, block),
        "patch_sizes": patches,
        "strides": patches,
        "sequence_reduction_ratios": [reduced.get(stage, 1) for stage in range(len(widths))],
        "mlp_ratios": [_ratio(hidden, width) for hidden, width in zip(wide, widths, strict=True)],
        "num_attention_heads": [width // widths[0] for width in widths],
        "num_encoder_blocks": len(widths),
        "image_size": math.isqrt(first) * patches[0],
    }


def cvt_settings(shapes: Shapes) -> Settings:
    """Return the settings of CvT."""
    stem = r"encoder\.stages\.(\d+)\.embedding\.convolution_embeddings\.projection\.weight"
    widths, patches = _each(shapes, stem), _each(shapes, stem, 2)
    hidden = _each(shapes, r"encoder\.stages\.(\d+)\.layers\.0\.intermediate\.dense\.weight")
    return {
        "embed_dim": widths,
        "depth": _depths(shapes, r"encoder\.stages\.(\d+)\.layers\.(\d+)\."),
        "patch_sizes": patches,
        "patch_padding": [size // 2 if size < 7 else 2 for size in patches],
        "mlp_ratio": [float(inner / width) for inner, width in zip(hidden, widths, strict=True)],
        "num_heads": [max(width // 64, 1) for width in widths],
        "cls_token": [has_name(shapes, rf"encoder\.stages\.{stage}\.cls_token") for stage in range(len(widths))],
    }


def levit_settings(shapes: Shapes) -> Settings:
    """Return the settings of LeViT."""
    attention = r"encoder\.stages\.(\d+)\.layers\.0\.module\."
    heads = _each(shapes, rf"{attention}attention_biases")
    together = _each(shapes, rf"{attention}queries_keys_values\.linear\.weight")
    widths = _each(shapes, rf"{attention}queries_keys_values\.linear\.weight", 1)
    values = _each(shapes, rf"{attention}projection\.linear\.weight", 1)
    keys = [(both - value) // (2 * head) for both, value, head in zip(together, values, heads, strict=True)]
    smaller = _each(shapes, r"encoder\.stages\.(\d+)\.layers\.\d+\.queries\.linear\.weight")
    ups = _each(shapes, r"encoder\.stages\.(\d+)\.layers\.1\.module\.linear_up\.linear\.weight")
    return {
        "hidden_sizes": widths,
        "num_attention_heads": heads,
        "depths": _depths(
            shapes, r"encoder\.stages\.(\d+)\.layers\.(\d+)\.module\.queries_keys_values\.linear\.weight"
        ),
        "key_dim": keys,
        "attention_ratio": [value // (key * head) for value, key, head in zip(values, keys, heads, strict=True)],
        "mlp_ratio": [up // width for up, width in zip(ups, widths, strict=True)],
        "down_ops": [*(["Subsample", keys[at], total // keys[at], 4, 2, 2] for at, total in enumerate(smaller)), [""]],
        "image_size": math.isqrt(_one(shapes, r"encoder\.stages\.0\.layers\.0\.module\.attention_biases", 1)) * 16,
    }


def mobilevit_settings(shapes: Shapes) -> Settings:
    """Return the settings of MobileViT."""
    neck = [_one(shapes, r"conv_stem\.convolution\.weight")]
    first = r"encoder\.layer\.{}\.(layer\.0|downsampling_layer)\.reduce_1x1\.convolution\.weight"
    neck += [_one(shapes, first.format(stage)) for stage in range(5)]
    hidden = [_one(shapes, rf"encoder\.layer\.{stage}\.conv_1x1\.convolution\.weight") for stage in (2, 3, 4)]
    return {
        "neck_hidden_sizes": [*neck, _one(shapes, r"conv_1x1_exp\.convolution\.weight")],
        "hidden_sizes": hidden,
        "expand_ratio": _one(shapes, r"layer\.0\.layer\.0\.expand_1x1\.convolution\.weight") / neck[0],
        "mlp_ratio": _one(shapes, r"layer\.2\.transformer\.layer\.0\.intermediate\.dense\.weight") / hidden[0],
        "image_size": 256,
    }


def mobilevit2_settings(shapes: Shapes) -> Settings:
    """Return the settings of MobileViT V2."""
    stem = _one(shapes, r"conv_stem\.convolution\.weight")
    units = [_one(shapes, rf"layer\.{stage}\.conv_1x1\.convolution\.weight") for stage in (2, 3, 4)]
    # 64, 128, 256, ... times the multiplier, where no clamp of the stem (16 to 64) hides it
    wide = _one(shapes, r"layer\.2\.conv_kxk\.convolution\.weight") / 256
    blocks = _depths(shapes, r"encoder\.layer\.(\d+)\.transformer\.layer\.(\d+)\.")
    return {
        "width_multiplier": wide,
        "base_attn_unit_dims": [round(unit / wide) for unit in units],
        "n_attn_blocks": blocks,
        "expand_ratio": _one(shapes, r"layer\.0\.layer\.0\.expand_1x1\.convolution\.weight") / stem,
        "ffn_multiplier": _ratio(
            _one(shapes, r"layer\.2\.transformer\.layer\.0\.ffn\.conv1\.convolution\.weight"), units[0]
        ),
        "image_size": 256,
    }


def efficientnet_settings(shapes: Shapes) -> Settings:
    """Return the one of B0 to B8 that has this stem and this many blocks."""
    wide, last = _one(shapes, r"embeddings\.convolution\.weight"), _one(shapes, r"encoder\.top_bn\.weight")
    blocks = _depth(shapes, r"encoder\.blocks\.(\d+)\.")
    for width, depth, side in ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300), (1.4, 1.8, 380),
                               (1.6, 2.2, 456), (1.8, 2.6, 528), (2.0, 3.1, 600), (2.2, 3.6, 672)):  # fmt: skip
        count = sum(math.ceil(depth * repeats) for repeats in (1, 2, 2, 3, 3, 4, 1))
        if (round(32 * width / 8) * 8, count) == (wide, blocks) and last == round(1280 * width / 8) * 8:
            return {"width_coefficient": width, "depth_coefficient": depth, "image_size": side, "hidden_dim": last}
    raise LookupError("no EfficientNet of these sizes")


def _stages(shapes: Shapes, stem: str, width: str) -> Settings:
    return {
        "embedding_size": _one(shapes, stem),
        "hidden_sizes": _each(shapes, width),
        "depths": _depths(shapes, r"encoder\.stages\.(\d+)\.layers\.(\d+)\."),
    }


def regnet_settings(shapes: Shapes) -> Settings:
    """Return the settings of RegNet."""
    found = _stages(
        shapes, r"embedder\.embedder\.convolution\.weight", r"stages\.(\d+)\.layers\.0\.shortcut\.convolution\.weight"
    )
    kind = "y" if has_name(shapes, r"layer\.2\.attention\.0\.") else "x"
    return found | {
        "layer_type": kind,
        "groups_width": _one(shapes, r"stages\.0\.layers\.0\.layer\.1\.convolution\.weight", 1),
    }


def bit_settings(shapes: Shapes) -> Settings:
    """Return the settings of BiT."""
    found = _stages(shapes, r"embedder\.convolution\.weight", r"stages\.(\d+)\.layers\.0\.conv3\.weight")
    last = any(re.search(r"(^|\.)norm\.weight$", name) and ".downsample." not in name for name in shapes)
    return found | {"layer_type": "preactivation" if last else "bottleneck"}


def poolformer_settings(shapes: Shapes) -> Settings:
    """Return the settings of PoolFormer."""
    stem = r"encoder\.patch_embeddings\.(\d+)\.projection\.weight"
    widths = _each(shapes, stem)
    return {
        "hidden_sizes": widths,
        "patch_sizes": _each(shapes, stem, 2),
        "depths": _depths(shapes, r"encoder\.block\.(\d+)\.(\d+)\."),
        "mlp_ratio": _one(shapes, r"encoder\.block\.0\.0\.output\.conv1\.weight") / widths[0],
        "use_layer_scale": has_name(shapes, r"block\.0\.0\.layer_scale_1"),
    }


def focalnet_settings(shapes: Shapes) -> Settings:
    """Return the settings of FocalNet."""
    stem = r"patch_embeddings\.projection\.weight"
    wide, depths = _one(shapes, stem), _depths(shapes, r"encoder\.stages\.(\d+)\.layers\.(\d+)\.")
    focal = [rf"stages\.{stage}\.layers\.0\.modulation\.focal_layers\." for stage in range(len(depths))]
    return {
        "embed_dim": wide,
        "patch_size": _one(shapes, stem, 2),
        "depths": depths,
        "focal_levels": [_depth(shapes, rf"{layers}(\d+)\.") for layers in focal],
        "focal_windows": [_one(shapes, rf"{layers}0\.0\.weight", 2) for layers in focal],
        "mlp_ratio": _one(shapes, r"stages\.0\.layers\.0\.mlp\.fc1\.weight") / wide,
        "use_layerscale": has_name(shapes, r"layers\.0\.gamma_1"),
        "use_post_layernorm_in_modulation": has_name(shapes, r"modulation\.layernorm\."),
    }


def swiftformer_settings(shapes: Shapes) -> Settings:
    """Return the settings of SwiftFormer."""
    widths = _each(shapes, r"encoder\.network\.(\d+)\.blocks\.0\.(?:local_representation\.)?depth_wise_conv\.weight")
    return {
        "embed_dims": widths,
        "depths": _depths(shapes, r"encoder\.network\.(\d+)\.blocks\.(\d+)\."),
        "mlp_ratio": _ratio(_one(shapes, r"network\.0\.blocks\.\d+\.linear\.fc1\.weight"), widths[0]),
    }


def multiplier_settings(stem: str) -> Callable[[Shapes], Settings]:
    """Return the settings of MobileNets, whose stems have 32 channels times their multiplier."""
    return lambda shapes: {"depth_multiplier": _one(shapes, stem) / 32}
