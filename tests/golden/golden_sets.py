"""The fixed inputs A, B, C and what official or independent implementations give on them.

REPDIAG_GOLDEN_SETS names a folder with further sets of the same kind (NAME.npz beside NAME.json): every test here then
runs on those as well, whatever their sizes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent
FURTHER = os.environ.get("REPDIAG_GOLDEN_SETS")
FOLDERS = (FOLDER, Path(FURTHER)) if FURTHER else (FOLDER,)
PLACES = {path.stem: path.parent for folder in reversed(FOLDERS) for path in sorted(folder.glob("*.json"))}
SETS = tuple(sorted(PLACES))
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

    @property
    def copies(self) -> int:
        """How many pairs of rows are exact copies."""
        return len(self.arrays["duplicate_pairs"])

    def value(self, key: str) -> Any:
        return self.values[key]["value"]


@lru_cache(maxsize=8)
def golden_set(name: str) -> GoldenSet:
    with np.load(PLACES[name] / f"{name}.npz", allow_pickle=False) as stored:
        arrays = {key: torch.from_numpy(stored[key]) for key in stored.files}
    arrays = {key: value.double() if value.is_floating_point() else value.long() for key, value in arrays.items()}
    values = json.loads((PLACES[name] / f"{name}.json").read_text(encoding="utf-8"))
    return GoldenSet(name=name, arrays=arrays, values=values)


CLAIMED: set[str] = set()


def claim(*prefixes: str) -> None:
    """Say that the calling module compares every value under these prefixes: test_every_value_is_compared.py counts."""
    CLAIMED.update(prefixes)


def keys(*prefixes: str) -> list[tuple[str, str]]:
    """Return every (set, key) whose key starts with one of the prefixes, and claim them."""
    claim(*prefixes)
    return [
        (name, key)
        for name in SETS
        for key in sorted(golden_set(name).values)
        if key != "_meta" and any(key.startswith(prefix) for prefix in prefixes)
    ]
