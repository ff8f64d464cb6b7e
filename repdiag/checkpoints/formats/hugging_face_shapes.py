"""Settings of Hugging Face transformers' models for state dicts without a config.json: sizes from the tensors' shapes.

What shapes do not show has the library's default, is assumed aloud, and follows the flag. The library's own class
then has to take every tensor, or the guess is dropped.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin
from repdiag.checkpoints.formats import hugging_face_sizes as sizes
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.formats.hugging_face_classes import networks_of_config
from repdiag.checkpoints.formats.hugging_face_sizes import Settings, Shapes, has_name
from repdiag.checkpoints.reading.contents import Contents, State


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One type of model: names that only it has, its settings by shape, and those that shapes do not show.

    `assumed` maps our name of a fact to its words, its flag and the setting of the library that holds it.
    """

    sign: str
    settings: Callable[[Shapes], Settings]
    assumed: Mapping[str, tuple[str, str | None, str]] = field(default_factory=dict)
    unlike: str | None = None
    proves_size: bool = False


_HEADS = ("attention heads", "--heads", "num_attention_heads")
_OF_FLAG = "the library's default"
_OF_CONFIG = f"{_OF_FLAG}; a config.json next to the file changes it"
_THEIRS: Mapping[Any, str] = {"gelu_tanh": "gelu_pytorch_tanh"}
_ACT = ("activation", "--activation", "hidden_act")


def _eps(setting: str = "layer_norm_eps") -> tuple[str, str | None, str]:
    return ("layer norm epsilon", "--norm-eps", setting)


_KINDS: Mapping[str, _Kind] = {
    "yolos": _Kind(
        sign=r"embeddings\.detection_tokens$",
        settings=sizes.yolos_settings,
        proves_size=True,
        assumed={"heads": _HEADS, "activation": _ACT, "norm_eps": _eps()},
    ),
    "blip_vision_model": _Kind(
        sign=r"encoder\.layers\.0\.self_attn\.qkv\.weight$",
        settings=sizes.blip_settings,
        proves_size=True,
        assumed={"heads": _HEADS, "activation": _ACT, "norm_eps": _eps()},
    ),
    "aimv2_vision_model": _Kind(
        sign=r"embeddings\.rms_norm\.weight$",
        settings=sizes.aimv2_settings,
        proves_size=True,
        assumed={"heads": _HEADS, "activation": _ACT, "norm_eps": _eps("rms_norm_eps")},
    ),
    "swinv2": _Kind(
        sign=r"encoder\.layers\.0\.blocks\.0\.attention\.(self\.)?logit_scale$",
        settings=sizes.swinv2_settings,
        assumed={"window": ("window", None, "window_size"), "activation": _ACT, "norm_eps": _eps()},
    ),
    "hiera": _Kind(
        sign=r"encoder\.stages\.0\.layers\.0\.attn\.qkv\.weight$",
        settings=sizes.hiera_settings,
        proves_size=True,
        assumed={"heads": ("attention heads of the stages", None, "num_heads"), "activation": _ACT,
                 "norm_eps": _eps()},
    ),
    "pvt": _Kind(
        sign=r"encoder\.patch_embeddings\.0\.position_embeddings$",
        settings=sizes.pvt_settings,
        proves_size=True,
        assumed={"heads": ("attention heads of the stages", None, "num_attention_heads"), "activation": _ACT,
                 "norm_eps": _eps()},
    ),
    "cvt": _Kind(
        sign=r"embedding\.convolution_embeddings\.projection\.weight$",
        settings=sizes.cvt_settings,
        assumed={"heads": ("attention heads of the stages", None, "num_heads"),
                 "strides": ("strides of the stages", None, "patch_stride"), "norm_eps": _eps()},
    ),
    "levit": _Kind(
        sign=r"encoder\.stages\.0\.layers\.0\.module\.attention_biases$",
        settings=sizes.levit_settings,
        proves_size=True,
        assumed={"strides": ("kernel, stride and padding of the patches", None, "kernel_size")},
    ),
    "mobilevit": _Kind(
        sign=r"encoder\.layer\.2\.transformer\.layer\.0\.attention\.attention\.query\.weight$",
        settings=sizes.mobilevit_settings,
        assumed={"heads": _HEADS, "activation": _ACT, "norm_eps": _eps()},
    ),
    "mobilevitv2": _Kind(
        sign=r"encoder\.layer\.2\.transformer\.layer\.0\.attention\.qkv_proj\.convolution\.weight$",
        settings=sizes.mobilevit2_settings,
        assumed={"activation": _ACT, "norm_eps": _eps()},
    ),
    "mobilenet_v1": _Kind(
        sign=r"layer\.25\.convolution\.weight$",
        unlike=r"layer\.0\.expand_1x1",
        settings=sizes.multiplier_settings(r"conv_stem\.convolution\.weight"),
        assumed={"activation": _ACT, "norm_eps": ("batch norm epsilon", "--norm-eps", "layer_norm_eps"),
                 "padding": ("TensorFlow's padding", None, "tf_padding")},
    ),
    "mobilenet_v2": _Kind(
        sign=r"conv_stem\.first_conv\.convolution\.weight$",
        settings=sizes.multiplier_settings(r"conv_stem\.first_conv\.convolution\.weight"),
        assumed={"activation": _ACT, "norm_eps": ("batch norm epsilon", "--norm-eps", "layer_norm_eps"),
                 "padding": ("TensorFlow's padding", None, "tf_padding")},
    ),
    "efficientnet": _Kind(
        sign=r"encoder\.blocks\.0\.depthwise_conv\.depthwise_conv\.weight$",
        settings=sizes.efficientnet_settings,
        assumed={"activation": _ACT, "norm_eps": ("batch norm epsilon", "--norm-eps", "batch_norm_eps")},
    ),
    "regnet": _Kind(
        sign=r"embedder\.embedder\.convolution\.weight$",
        settings=sizes.regnet_settings,
        assumed={"activation": _ACT, "strides": ("stride 2 in the first stage", None, "downsample_in_first_stage")},
    ),
    "bit": _Kind(
        sign=r"embedder\.convolution\.weight$",
        settings=sizes.bit_settings,
        assumed={"activation": _ACT, "groups": ("groups of the norms", None, "num_groups"),
                 "padding": ("padding", None, "global_padding")},
    ),
    "poolformer": _Kind(
        sign=r"encoder\.block\.0\.0\.before_norm\.weight$",
        settings=sizes.poolformer_settings,
        assumed={"activation": _ACT, "pool_size": ("side of the pooling in a block", None, "pool_size"),
                 "strides": ("strides of the stages", None, "strides")},
    ),
    "focalnet": _Kind(
        sign=r"modulation\.projection_in\.weight$",
        settings=sizes.focalnet_settings,
        assumed={"activation": _ACT, "norm_eps": _eps()},
    ),
    "swiftformer": _Kind(
        sign=r"encoder\.network\.0\.blocks\.0\.(local_representation\.)?depth_wise_conv\.weight$",
        settings=sizes.swiftformer_settings,
        assumed={"activation": _ACT, "norm_eps": ("batch norm epsilon", "--norm-eps", "batch_norm_eps")},
    ),
}  # fmt: skip


def networks_of_shapes(contents: Contents, state: State, facts: Facts) -> list[Candidate]:
    """Return the network of transformers' own class that has tensors of these names and shapes, if it knows one."""
    del contents
    if importlib.util.find_spec("transformers") is None:
        return []
    shapes = {name: value.shape for name, value in state.items()}
    for model_type in kinds_of(shapes):
        kind = _KINDS[model_type]
        try:
            settings = {"model_type": model_type, **settings_of(model_type, shapes)}
            given, found = _as_told(kind, settings, facts)
        except Exception:  # another network with such a name in it: the library's checks of settings have many kinds
            continue
        for candidate in networks_of_config(given, state, facts):
            return [_with_facts(candidate, kind, found)]
    return []


def kinds_of(names: Iterable[str]) -> list[str]:
    """Return the types of models that these names may be of."""
    given = list(names)
    return [
        model_type
        for model_type, kind in _KINDS.items()
        if has_name(given, kind.sign) and not (kind.unlike and has_name(given, kind.unlike))
    ]


def settings_of(model_type: str, shapes: Shapes) -> Settings:
    """Return the settings of a type of model that shapes show; `LookupError` where a tensor for them is not there."""
    channels = next((shape[1] for shape in shapes.values() if len(shape) == 4), 3)  # of the first convolution
    try:
        return _KINDS[model_type].settings(shapes) | ({"num_channels": channels} if channels != 3 else {})
    except StopIteration:
        raise LookupError(f"a tensor that {model_type} has is not there") from None


def _as_told(kind: _Kind, settings: Settings, facts: Facts) -> tuple[Settings, tuple[Fact, ...]]:
    """Return the settings as the user's flags change them, and the facts that shapes do not show."""
    from transformers import AutoConfig

    values = {"heads": facts.heads.get(0), "activation": facts.activation, "norm_eps": facts.norm_eps}
    said = [name for name in values if name in kind.assumed and facts.origin_of(name).source == "told"]
    said = [name for name in said if kind.assumed[name][1] is not None]
    changed = {kind.assumed[name][2]: _THEIRS.get(values[name], values[name]) for name in said}
    given = {**settings, **changed}
    usual = AutoConfig.for_model(**given).to_dict()
    found = []
    for name, (words, flag, setting) in kind.assumed.items():
        why = "64 features a head" if flag == "--heads" else _OF_FLAG if flag else _OF_CONFIG
        origin = facts.origin_of(name) if name in said else Origin("assumed", why)
        found.append(Fact.of(words, str(usual.get(setting))[:60], origin, flag=flag))
    return given, tuple(found)


def _with_facts(candidate: Candidate, kind: _Kind, found: tuple[Fact, ...]) -> Candidate:
    size = (candidate.config or {}).get("image_size")
    side = size[0] if isinstance(size, list) else size
    shown = Origin("tensors", "position embeddings") if kind.proves_size else Origin("assumed", "as usual for its kind")
    return replace(candidate, facts=(*candidate.facts, *found), image_size=side, image_size_origin=shown)
