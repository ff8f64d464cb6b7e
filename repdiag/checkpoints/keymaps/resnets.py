"""ResNets under other names than torchvision's."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from repdiag.checkpoints.keymaps.keymap import Keymap
from repdiag.checkpoints.keymaps.renaming import all_names, any_name, by_patterns


def _is_sequential(state: Mapping[str, Tensor]) -> bool:
    return all_names(state, [r"0\.weight", r"1\.running_mean", r"4\.\d+\.conv1\.", r"7\.\d+\.conv1\."])


def _is_sequential_without_pool(state: Mapping[str, Tensor]) -> bool:
    stages = all_names(state, [r"0\.weight", r"1\.running_mean", r"3\.\d+\.conv1\.", r"6\.\d+\.conv1\."])
    return stages and not any_name(state, r"7\.\d+\.conv1\.")


def _has_shortcut(state: Mapping[str, Tensor]) -> bool:
    return all_names(state, [r"conv1\.weight", r"layer\d\.\d+\.shortcut\.0\.weight"])


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
