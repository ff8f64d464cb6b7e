"""The exact state of a run: what a checkpoint holds, and how a run is put back to it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim import Optimizer

from repdiag.config.training import TrainSettings
from repdiag.core.errors import CheckpointError, ConfigError
from repdiag.data.datasets import FOLDER
from repdiag.methods.base import Method
from repdiag.training.meters import Meters

BRANCHES = ("backbone", "projector", "momentum_backbone", "momentum_projector")


@dataclass
class RunState:
    """Everything that the next step depends on, and that is not a pure function of the step.

    Schedules, the order of the images, their augmentations and all random numbers are functions of (seed, step), so
    the state has no generators and no loader in it.
    """

    settings: TrainSettings
    method: Method
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    meters: Meters
    step: int
    steps_per_epoch: int
    threads: int
    dataset_fingerprint: str
    teacher_sha256: str | None = None

    def payload(self) -> dict[str, Any]:
        """Return the content of a checkpoint: tensors, strings and numbers only."""
        branches = self.method.branches()
        progress = {
            "step": self.step,
            "epoch": self.step // self.steps_per_epoch,
            "steps_per_epoch": self.steps_per_epoch,
            "threads": self.threads,
            "dataset_fingerprint": self.dataset_fingerprint,
            "teacher_sha256": self.teacher_sha256,
        }
        data = self.settings.data
        state: dict[str, Any] = {name: _state(branches.get(name)) for name in BRANCHES}
        return state | {
            "config": self.settings.model_dump_json(),
            "progress": json.dumps(progress),
            "normalization": json.dumps({"mean": data.mean, "std": data.std}),
            "image_size": data.image_size,
            "method": self.method.extra_state(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rng": {"seed": self.settings.loop.seed, "scheme": "reseeded from (seed, step, rank) before every step"},
            "meters": self.meters.state(),
        }

    def restore(self, payload: Mapping[str, Any]) -> None:
        """Put the run into the state of the payload."""
        progress = json.loads(payload["progress"])
        self._check_same_run(payload, progress)
        for name, module in self.method.branches().items():
            module.load_state_dict(payload[name])
        self.method.load_extra_state(payload["method"])
        self.optimizer.load_state_dict(payload["optimizer"])
        self.scaler.load_state_dict(payload.get("scaler", {}))
        self.meters.load(payload["meters"])
        self.step, self.threads = progress["step"], progress["threads"]

    def _check_same_run(self, payload: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
        before, now = _completed(payload["config"]), self.settings.model_dump(mode="json")
        teacher = progress.get("teacher_sha256")
        if teacher is not None and teacher != self.teacher_sha256:
            raise CheckpointError(
                "the teacher differs from the one that this run started with",
                found=f"{now['method'].get('teacher')}, where the run had {before['method'].get('teacher')}",
                hint="set method.teacher to the same file, or start again with --overwrite",
            )
        if teacher is not None:  # the same file, wherever it lies now
            before["method"]["teacher"] = now["method"]["teacher"]
        if _is_folder(before) and _is_folder(now):  # the same images, as their fingerprint says, wherever they lie now
            before["data"]["dataset"] = now["data"]["dataset"]
        changed = changed_settings(before, now)
        if changed:
            raise ConfigError(
                "the run in this directory has other settings",
                found=", ".join(changed[:6]),
                hint="give the same settings; or start again with --overwrite; or use another --out with "
                "--init-from for its weights",
            )
        if progress["dataset_fingerprint"] != self.dataset_fingerprint:
            raise CheckpointError(
                "the images differ from those that this run started with",
                hint="restore them, or start again with --overwrite",
            )


# Settings that decide when things are saved or shown, never what is computed.
_FREE = {"workers", "save_every_steps", "save_every_seconds", "keep_every_epochs", "tensorboard", "root", "download"}
_FREE |= {"monitor_every_epochs", "description"}


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return "key: old -> new" for every setting that differs and that the results depend on."""
    changes: list[str] = []
    for key in sorted({*old, *new} - _FREE):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changes += changed_settings(before, after, f"{prefix}{key}.")
        elif before != after:
            changes.append(f"{prefix}{key}: {before} -> {after}")
    return changes


def _completed(config: str) -> dict[str, Any]:
    """Return stored settings with the defaults of those that did not exist yet when they were stored."""
    try:
        return TrainSettings.model_validate_json(config).model_dump(mode="json")
    except ValidationError:
        stored: dict[str, Any] = json.loads(config)
        return stored


def _is_folder(config: Mapping[str, Any]) -> bool:
    return str(config["data"]["dataset"]).startswith(FOLDER)


def seed_everything(seed: int, *parts: int | str) -> None:
    """Seed Python's, NumPy's and torch's generators from (seed, parts): nothing of the past remains in them."""
    text = ":".join(str(part) for part in (seed, *parts)).encode()
    mixed = int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
    random.seed(mixed)
    np.random.seed(mixed % 2**32)
    torch.manual_seed(mixed % 2**63)


def _state(module: nn.Module | None) -> dict[str, Any]:
    return {} if module is None else dict(module.state_dict())
