"""Every keymap, most particular first."""

from __future__ import annotations

from repdiag.checkpoints.keymaps import hugging_face, mobile_networks, originals, resnets, transformers
from repdiag.checkpoints.keymaps.keymap import Keymap

KEYMAPS: tuple[Keymap, ...] = (
    resnets.SEQUENTIAL,
    resnets.SEQUENTIAL_WITHOUT_POOL,
    resnets.SEQUENTIAL_OF_LIGHTLY,
    resnets.SHORTCUT,
    resnets.HUGGING_FACE,
    resnets.DEEP_STEM,
    resnets.SELECTIVE_KERNELS,
    resnets.SIMCLR_V2,
    resnets.CLIP,
    mobile_networks.SMALL_MOBILENET,
    mobile_networks.LUKEMELAS,
    mobile_networks.MONAI_EFFICIENTNET,
    mobile_networks.MONAI_DENSENET,
    mobile_networks.LISTED_FEATURES,
    mobile_networks.LISTED_CHILDREN,
    hugging_face.SWIN,
    hugging_face.BEIT,
    hugging_face.DINOV3,
    hugging_face.DINOV3_CONVNEXT,
    hugging_face.CONVNEXT,
    hugging_face.CLIP,
    hugging_face.SIGLIP,
    hugging_face.VIT,
    hugging_face.DINOV2_REGISTERS,
    hugging_face.DINOV2,
    originals.CONVNEXT,
    originals.SWIN,
    originals.DINOV3,
    transformers.OPEN_CLIP,
    transformers.TORCHVISION,
    transformers.VISSL,
    transformers.LUCIDRAINS,
    transformers.VIT_PYTORCH,
    transformers.DINOV2_CHUNKS,
    transformers.DINOV2,
    transformers.MM,
)
