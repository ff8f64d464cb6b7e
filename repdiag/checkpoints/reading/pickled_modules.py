"""Modules that were pickled whole (`torch.save(model)`): their tensors under the names of a state dict.

No class of theirs is imported and nothing of theirs runs: a module is a record of three dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from repdiag.checkpoints.reading.stand_ins import Placeholder

_PARTS = ("_parameters", "_buffers", "_modules")


def is_module(value: Any) -> bool:
    """Say whether a value stands for a pickled `torch.nn.Module`."""
    return isinstance(value, Placeholder) and all(isinstance(value.fields.get(part), Mapping) for part in _PARTS)


def state_of_module(module: Placeholder, prefix: str = "") -> dict[str, Tensor]:
    """Return what the module's `state_dict()` would: parameters, buffers that are kept, and those of its children.

    >>> state_of_module(Placeholder("torch.nn.Identity", fields={"_parameters": {}, "_buffers": {}, "_modules": {}}))
    {}
    """
    own = module.fields
    left_out = own.get("_non_persistent_buffers_set")
    dropped = set(map(str, left_out)) if isinstance(left_out, list | tuple) else set()
    found = {
        f"{prefix}{name}": value
        for part in ("_parameters", "_buffers")
        for name, value in own[part].items()
        if isinstance(value, Tensor) and not (part == "_buffers" and str(name) in dropped)
    }
    for name, child in own["_modules"].items():
        if is_module(child):
            found |= state_of_module(child, f"{prefix}{name}.")
    return found
