"""ResNets under other names than torchvision's."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.clip_resnets import clip_resnet_candidates
from repdiag.checkpoints.architectures.named import named_candidates
from repdiag.checkpoints.architectures.preactivation import preactivation_candidates
from repdiag.checkpoints.architectures.said import as_said
from repdiag.checkpoints.architectures.selective_kernels import selective_kernel_candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.keymaps.keymap import Keymap
from repdiag.checkpoints.keymaps.renaming import State, all_names, any_name, by_patterns


def _is_sequential(state: Mapping[str, Tensor]) -> bool:
    return all_names(state, [r"0\.weight", r"1\.running_mean", r"4\.\d+\.conv1\.", r"7\.\d+\.conv1\."])


def _is_sequential_without_pool(state: Mapping[str, Tensor]) -> bool:
    stages = all_names(state, [r"0\.weight", r"1\.running_mean", r"3\.\d+\.conv1\.", r"6\.\d+\.conv1\."])
    return stages and not any_name(state, r"7\.\d+\.conv1\.")


def _is_sequential_of_lightly(state: Mapping[str, Tensor]) -> bool:
    stages = all_names(state, [r"0\.weight", r"1\.running_mean", r"2\.\d+\.conv1\.", r"5\.\d+\.conv1\."])
    return stages and not any_name(state, r"[67]\.\d+\.conv1\.")


def _lightly(state: Mapping[str, Tensor]) -> State:
    """Rename, and average the statistics of split batch norms, as lightly does on leaving training mode."""
    renamed = _LIGHTLY_NAMES(state)
    for name, value in renamed.items():
        place, _, leaf = name.rpartition(".")
        weight = renamed.get(f"{place}.weight")
        if leaf in ("running_mean", "running_var") and weight is not None and len(value) > len(weight):
            renamed[name] = value.reshape(-1, len(weight)).mean(0)
    return renamed


def _has_shortcut(state: Mapping[str, Tensor]) -> bool:
    return all_names(state, [r"conv1\.weight", r"layer\d\.\d+\.shortcut\.0\.weight"])


def _without_blur(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return timm's networks with a deep stem; those that blur before their strides are timm's own."""
    found = [item for item in named_candidates(state, None, None) if "aa" not in item.name and "blur" not in item.name]
    return [as_said(item, facts, state=state) for item in found]


SEQUENTIAL = Keymap(
    name="ResNet as a list of its children (lightly, BYOL, SSLight)",
    applies=_is_sequential,
    convert=by_patterns(
        (r"^0\.", "conv1."),
        (r"^1\.", "bn1."),
        (r"^([4-7])\.", lambda found: f"layer{int(found[1]) - 3}."),
        (r"\.shortcut\.", ".downsample."),
    ),
)
SEQUENTIAL_WITHOUT_POOL = Keymap(
    name="ResNet as a list without its max-pool (MoCo's CIFAR notebook)",
    applies=_is_sequential_without_pool,
    convert=by_patterns(
        (r"^0\.", "conv1."),
        (r"^1\.", "bn1."),
        (r"^([3-6])\.", lambda found: f"layer{int(found[1]) - 2}."),
        (r"^9\.", "fc."),
    ),
)
_LIGHTLY_NAMES = by_patterns(
    (r"^0\.", "conv1."),
    (r"^1\.", "bn1."),
    (r"^([2-5])\.", lambda found: f"layer{int(found[1]) - 1}."),
    (r"\.shortcut\.", ".downsample."),
)
# Its ResNet applies the stem's ReLU in `forward`, which a list of its children does not have.
SEQUENTIAL_OF_LIGHTLY = Keymap(
    name="lightly's own ResNet as a list, without the stem's ReLU",
    applies=_is_sequential_of_lightly,
    convert=_lightly,
    facts={"stem_relu": False},
)
SHORTCUT = Keymap(
    name="CIFAR ResNet with `shortcut` blocks (SupContrast, lightly's own)",
    applies=_has_shortcut,
    convert=by_patterns((r"\.shortcut\.", ".downsample.")),
)
HUGGING_FACE = Keymap(
    name="Hugging Face ResNet",
    applies=lambda state: any_name(state, r"(resnet\.)?embedder\.embedder\.convolution\."),
    convert=by_patterns(
        (r"^resnet\.", ""),
        (r"^embedder\.embedder\.convolution\.", "conv1."),
        (r"^embedder\.embedder\.normalization\.", "bn1."),
        (r"^encoder\.stages\.(\d+)\.layers\.", lambda found: f"layer{int(found[1]) + 1}."),
        (r"\.shortcut\.convolution\.", ".downsample.0."),
        (r"\.shortcut\.normalization\.", ".downsample.1."),
        (r"\.layer\.(\d)\.convolution\.", lambda found: f".conv{int(found[1]) + 1}."),
        (r"\.layer\.(\d)\.normalization\.", lambda found: f".bn{int(found[1]) + 1}."),
        (r"^classifier\.1\.", "fc."),
    ),
)
DEEP_STEM = Keymap(
    name="open-mmlab's ResNet with a deep stem (V1c, V1d)",
    applies=lambda state: all_names(state, [r"stem\.0\.weight", r"stem\.7\.running_mean", r"layer1\.0\.conv1\."]),
    convert=by_patterns((r"^stem\.7\.", "bn1."), (r"^stem\.", "conv1.")),
    candidates=_without_blur,
)
DETECTRON2 = Keymap(
    name="detectron2's ResNet",
    applies=lambda state: all_names(state, [r"stem\.conv1\.norm\.running_mean", r"res2\.0\.conv1\.norm\."]),
    convert=by_patterns(
        (r"^stem\.conv1\.norm\.", "bn1."),
        (r"^stem\.conv1\.", "conv1."),
        (r"^res([2-5])\.", lambda found: f"layer{int(found[1]) - 1}."),
        (r"\.shortcut\.norm\.", ".downsample.1."),
        (r"\.shortcut\.", ".downsample.0."),
        (r"\.conv(\d)\.norm\.", r".bn\1."),
    ),
)
_STAGE = r"^conv([2-5])_x\.(\d+)\."
RESIDUAL_FUNCTION = Keymap(
    name="CIFAR ResNet with `residual_function` blocks (weiaicunzai/pytorch-cifar100)",
    applies=lambda state: all_names(state, [r"conv1\.0\.weight", r"conv2_x\.0\.residual_function\.0\.weight"]),
    convert=by_patterns(
        (r"^conv1\.0\.", "conv1."),
        (r"^conv1\.1\.", "bn1."),
        (_STAGE, lambda found: f"layer{int(found[1]) - 1}.{found[2]}."),
        (r"\.residual_function\.([036])\.", lambda found: f".conv{int(found[1]) // 3 + 1}."),
        (r"\.residual_function\.([147])\.", lambda found: f".bn{int(found[1]) // 3 + 1}."),
        (r"\.shortcut\.", ".downsample."),
    ),
)
_WIDE_NAMES = by_patterns((r"^block(\d)\.layer\.", r"layer\1."), (r"\.convShortcut\.", ".shortcut.0."))
WIDE_RESNET = Keymap(
    name="CIFAR wide ResNet (xternalz, TRADES, RobustBench)",
    applies=lambda state: all_names(state, [r"block1\.layer\.0\.bn1\.", r"block3\.layer\.0\.convShortcut\.weight"]),
    convert=lambda state: {
        name: value for name, value in _WIDE_NAMES(state).items() if not name.startswith("sub_block1.")
    },  # fmt: skip - the last is a copy of the first block that TRADES never uses
    candidates=preactivation_candidates,
)


def _is_preactivation(state: Mapping[str, Tensor]) -> bool:
    """Say whether a block's first norm is as wide as its input, and none follows the stem."""
    first, norm = state.get("layer2.0.conv1.weight"), state.get("layer2.0.bn1.weight")
    shaped = (
        first is not None and norm is not None and first.ndim == 4 and len(norm) == first.shape[1] != first.shape[0]
    )
    return shaped and "bn1.weight" not in state and "layer2.0.conv3.weight" not in state


PREACTIVATION = Keymap(
    name="CIFAR PreActResNet (kuangliu/pytorch-cifar)",
    applies=lambda state: _is_preactivation(state) and "layer2.0.shortcut.0.weight" in state,
    convert=dict,
    candidates=preactivation_candidates,
)
SELECTIVE_KERNELS = Keymap(
    name="SimCLR v2's ResNet with selective kernels",
    applies=lambda state: all_names(state, [r"net\.0\.4\.weight", r"net\.1\.blocks\.0\.net\.2\.mixing_conv\."]),
    convert=dict,
    candidates=selective_kernel_candidates,
)
CLIP = Keymap(
    name="CLIP's ResNet",
    applies=lambda state: all_names(
        state, [r"attnpool\.positional_embedding", r"conv3\.weight", r"layer1\.0\.conv1\."]
    ),
    convert=dict,
    candidates=clip_resnet_candidates,
)
SIMCLR_V2 = Keymap(
    name="SimCLR v2's ResNet as nested lists",
    applies=lambda state: all_names(state, [r"net\.0\.0\.weight", r"net\.1\.blocks\.0\.net\.4\.weight"]),
    convert=by_patterns(
        (r"^net\.0\.0\.", "conv1."),
        (r"^net\.0\.1\.0\.", "bn1."),
        (r"^net\.([1-4])\.blocks\.", r"layer\1."),
        (r"\.projection\.shortcut\.", ".downsample.0."),
        (r"\.projection\.bn\.0\.", ".downsample.1."),
        (r"^(layer\d\.\d+)\.net\.([024])\.weight", lambda found: f"{found[1]}.conv{int(found[2]) // 2 + 1}.weight"),
        (r"^(layer\d\.\d+)\.net\.([135])\.0\.", lambda found: f"{found[1]}.bn{int(found[2]) // 2 + 1}."),
    ),
)
