"""Every keymap, most particular first."""

from __future__ import annotations

from repdiag.checkpoints.keymaps import mobile_networks, resnets, transformers
from repdiag.checkpoints.keymaps.keymap import Keymap

KEYMAPS: tuple[Keymap, ...] = (
    resnets.SEQUENTIAL,
    resnets.SEQUENTIAL_WITHOUT_POOL,
    resnets.SEQUENTIAL_OF_LIGHTLY,
    resnets.SHORTCUT,
    resnets.HUGGING_FACE,
    resnets.SELECTIVE_KERNELS,
    resnets.SIMCLR_V2,
    mobile_networks.SMALL_MOBILENET,
    mobile_networks.LUKEMELAS,
    mobile_networks.LISTED_FEATURES,
    mobile_networks.LISTED_CHILDREN,
    transformers.HUGGING_FACE,
    transformers.HUGGING_FACE_DINOV2,
    transformers.OPEN_CLIP,
    transformers.TORCHVISION,
    transformers.VISSL,
    transformers.LUCIDRAINS,
    transformers.DINOV2_CHUNKS,
    transformers.DINOV2,
    transformers.MM,
)
