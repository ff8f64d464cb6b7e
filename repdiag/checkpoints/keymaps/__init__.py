"""Other namings of known networks: each keymap renames a state dict to the names of torchvision or timm."""

from repdiag.checkpoints.keymaps.keymap import Keymap, Renamed, rename
from repdiag.checkpoints.keymaps.registry import KEYMAPS

__all__ = ["KEYMAPS", "Keymap", "Renamed", "rename"]
