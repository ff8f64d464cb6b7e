"""MobileNets and EfficientNets under other names than torchvision's and timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from repdiag.checkpoints.architectures.fixed_padding import fixed_padding_candidates
from repdiag.checkpoints.architectures.named import is_indexed
from repdiag.checkpoints.architectures.small_mobilenets import small_mobilenet_candidates
from repdiag.checkpoints.keymaps.keymap import Keymap, State
from repdiag.checkpoints.keymaps.renaming import all_names, any_name, by_patterns

_SMALL_BLOCK = re.compile(r"features\.(\d+)\.conv\.(\d+)\.(.*)")
_FLAT_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+?)\.(.*)")


def _small_mobilenet(state: Mapping[str, Tensor]) -> State:
    """Rename the mobilenetv3.py of SEED and ssl-small: blocks are flat lists, squeeze-excite is linear layers."""
    renamed: State = {}
    last = 1 + max(int(match[1]) for match in map(_SMALL_BLOCK.match, state) if match)
    for name, value in state.items():
        match = _SMALL_BLOCK.match(name)
        if match is None:
            renamed[re.sub(r"^conv\.", f"features.{last}.", name)] = value
            continue
        block, index, rest = match[1], int(match[2]), match[3]
        expands = f"features.{block}.conv.7.weight" in state
        excite = 5 if expands else 3
        place, shift = _place(index, expands=expands, excites=f"features.{block}.conv.{excite}.fc.0.weight" in state)
        if rest.startswith("fc."):
            rest = rest.replace("fc.0.", "fc1.").replace("fc.2.", "fc2.")
            as_convolution = value[:, :, None, None] if rest.endswith("weight") else value
            renamed[f"features.{block}.block.{place}.{rest}"] = as_convolution
        else:
            renamed[f"features.{block}.block.{place}.{shift}.{rest}"] = value
    return renamed


def _place(index: int, *, expands: bool, excites: bool) -> tuple[int, int]:
    """Return the place in torchvision's block, and within it, of entry `index` of the flat list."""
    if expands and index < 3:
        return 0, index
    depthwise, excite = (3, 5) if expands else (0, 3)
    offset = 1 if expands else 0
    if index < depthwise + 2:
        return offset, index - depthwise
    if index == excite and excites:
        return offset + 1, 0
    project = 7 if expands else 4
    return offset + 1 + excites, index - project


def _lukemelas(state: Mapping[str, Tensor]) -> State:
    """Rename efficientnet_pytorch to timm: blocks are counted within stages, which begin where the width changes."""
    widths = {
        int(match[1]): value.shape[0]
        for name, value in state.items()
        if (match := _FLAT_BLOCK.match(name)) and match[2] == "_project_conv"
    }
    places: dict[int, str] = {}
    stage, inner = -1, 0
    for block in sorted(widths):
        begins = block == 0 or widths[block] != widths[block - 1]
        stage, inner = (stage + 1, 0) if begins else (stage, inner + 1)
        places[block] = f"{stage}.{inner}"
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    inside = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
              "_project_conv": "conv_pwl", "_bn2": "bn3", "_se_reduce": "se.conv_reduce",
              "_se_expand": "se.conv_expand"}  # fmt: skip
    without_expansion = inside | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    renamed: State = {}
    for name, value in state.items():
        match = _FLAT_BLOCK.match(name)
        if match:
            table = inside if f"_blocks.{match[1]}._expand_conv.weight" in state else without_expansion
            renamed[f"blocks.{places[int(match[1])]}.{table.get(match[2], match[2])}.{match[3]}"] = value
        else:
            first, _, rest = name.partition(".")
            renamed[f"{top.get(first, first)}.{rest}"] = value
    return renamed


SMALL_MOBILENET = Keymap(
    name="mobilenetv3.py of SEED and ssl-small",
    applies=lambda state: all_names(state, [r"features\.1\.conv\.4\.weight", r"conv\.0\.weight", r"classifier\.0\."]),
    convert=_small_mobilenet,
    candidates=small_mobilenet_candidates,
)
LUKEMELAS = Keymap(
    name="efficientnet_pytorch (TensorFlow's padding)",
    applies=lambda state: all_names(state, [r"_conv_stem\.weight", r"_blocks\.0\._depthwise_conv\."]),
    convert=_lukemelas,
    facts={"arch_like": "tf_efficientnet"},
    candidates=fixed_padding_candidates,
)
MONAI_EFFICIENTNET = Keymap(
    name="MONAI's EfficientNet (TensorFlow's padding)",
    applies=lambda state: all_names(state, [r"_conv_stem\.weight", r"_blocks\.0\.0\._depthwise_conv\."]),
    convert=lambda state: _lukemelas(
        {re.sub(r"^_blocks\.\d+\.(\d+)\.", r"_blocks.\1.", name): state[name] for name in state}
    ),
    facts={"arch_like": "tf_efficientnet"},
    candidates=fixed_padding_candidates,
)
MONAI_DENSENET = Keymap(
    name="MONAI's DenseNet",
    applies=lambda state: any_name(state, r"features\.denseblock1\.denselayer1\.layers\.norm1\."),
    convert=by_patterns(
        (r"(\.denselayer\d+)\.layers\.", r"\1."),
        (r"^class_layers\.out\.", "classifier."),
    ),
    facts={"arch_like": "torchvision:densenet"},
)
LISTED_FEATURES = Keymap(
    name="the `features` of a torchvision network as a list (SSLight)",
    applies=lambda state: (
        all_names(state, [r"0\.0\.weight", r"0\.1\.running_mean"]) and any_name(state, r"1\.(conv|block)\.")
    ),
    convert=by_patterns((r"^(\d+)\.", r"features.\1.")),
)
_AS_FEATURES = by_patterns((r"^(\d+)\.", r"features.\1."))
_OF_A_LIST = re.compile(r"\d+\.(weight|bias|running_mean|running_var|num_batches_tracked)")
LISTED_VGG = Keymap(
    name="the `features` of a VGG as a list",
    applies=lambda state: (
        "0.weight" in state
        and state["0.weight"].shape[0] == 64
        and state["0.weight"].shape[2:] == (3, 3)
        and all(_OF_A_LIST.fullmatch(name) for name in state)
        and is_indexed(_AS_FEATURES(state))  # and not any list of convolutions
    ),
    convert=_AS_FEATURES,
)
LISTED_CHILDREN = Keymap(
    name="the children of a torchvision network as a list",
    applies=lambda state: all_names(state, [r"0\.0\.0\.weight", r"0\.1\.(conv|block)\."]),
    convert=by_patterns((r"^0\.", "features.")),
)
