"""The fixed inputs A, B, C and what official or independent implementations give on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent
SETS = ("A", "B", "C")
RELATIVE = 1e-6


@dataclass(frozen=True)
class GoldenSet:
    name: str
    arrays: dict[str, Tensor]
    values: dict[str, Any]

    def rows(self, field: str, kind: str = "raw") -> Tensor:
        """Return one array in float64, as stored ("raw") or with its last axis normalised ("l2")."""
        array = self.arrays[field]
        if kind == "l2":
            return array / torch.linalg.vector_norm(array, dim=-1, keepdim=True)
        return array

    @property
    def labels(self) -> Tensor:
        return self.arrays["labels"]

    def value(self, key: str) -> Any:
        return self.values[key]["value"]


@lru_cache(maxsize=3)
def golden_set(name: str) -> GoldenSet:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as stored:
        arrays = {key: torch.from_numpy(stored[key]) for key in stored.files}
    arrays = {key: value.double() if value.is_floating_point() else value.long() for key, value in arrays.items()}
    values = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return GoldenSet(name=name, arrays=arrays, values=values)


def keys(*prefixes: str) -> list[tuple[str, str]]:
    """Return every (set, key) whose key starts with one of the prefixes."""
    return [
        (name, key)
        for name in SETS
        for key in sorted(golden_set(name).values)
        if any(key.startswith(prefix) for prefix in prefixes)
    ]
