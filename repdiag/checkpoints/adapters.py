"""Low-rank adapters (PEFT's LoRA) and the base model they belong to: merged where both are here, else said how.

A merged weight is W + scale * B A, with scale = lora_alpha / r (or lora_alpha / sqrt(r), rank-stabilised).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdiag.checkpoints.keymaps.hugging_face import plain_name
from repdiag.checkpoints.reading.contents import unwrap
from repdiag.checkpoints.reading.safe_load import Payload, read
from repdiag.core.errors import CheckpointError

CONFIG = "adapter_config.json"
_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_LOW_RANK = re.compile(r"(?P<module>.+)\.lora_(?P<part>[AB])(?:\.[\w-]+)?\.weight")
_OTHER = re.compile(r"\.lora_(embedding_[AB]|magnitude_vector|bias)|\.(hada_w|lokr_w|oft_|vera_lambda|ia3_)")
_LARGEST_RANK = 4096
_MERGE = "peft.PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(out)"


def read_checkpoint(path: Path | str, *, mapped: bool = False) -> Payload:
    """Return the content of a checkpoint, an adapter and its base model merged into one; see `read`."""
    folder = Path(path)
    if folder.is_dir() and (folder / CONFIG).is_file():
        return _of_folder(folder, mapped=mapped)
    payload = read(path, mapped=mapped)
    settings = payload.sidecars.get(CONFIG)
    for place in (None, "state_dict", "model"):
        state = payload.tree if place is None else payload.tree.get(place) if isinstance(payload.tree, dict) else None
        if isinstance(state, Mapping) and any(".lora_A" in str(name) for name in state) and isinstance(settings, dict):
            merged = _merged_in_place(dict(state), _Scale.of(settings, payload.path))
            return replace(payload, tree=merged, notes=(f"the adapter was merged, as {CONFIG} says",))
    return payload


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """How much of B A is added to a module's weight; some have a rank or a factor of their own."""

    alpha: float
    stabilised: bool
    transposed: bool
    alphas: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any], path: Path) -> _Scale:
        """Return what an adapter_config.json says; raises `CheckpointError` for what is not plain LoRA."""
        odd = [name for name in ("use_dora", "layer_replication", "lora_bias", "trainable_token_indices")
               if settings.get(name)]  # fmt: skip
        if str(settings.get("peft_type", "LORA")) != "LORA":
            odd.append(f"peft_type {str(settings['peft_type'])[:20]}")
        alpha, alphas = settings.get("lora_alpha"), settings.get("alpha_pattern") or {}
        if odd or not _is_number(alpha) or not isinstance(alphas, dict) or not all(map(_is_number, alphas.values())):
            raise CheckpointError(
                f"{path} holds an adapter that is not plain LoRA",
                found=", ".join(odd) or f"{CONFIG} without a number for lora_alpha",
                hint=f"merge it by its own library: {_MERGE}",
            )
        return cls(
            alpha=float(alpha or 0),
            stabilised=settings.get("use_rslora") is True,
            transposed=settings.get("fan_in_fan_out") is True,
            alphas={str(name): float(value) for name, value in alphas.items()},
        )

    def factor(self, module: str, rank: int) -> float:
        """Return lora_alpha / r of a module, whose name may end in one that has a factor of its own."""
        alpha = next((value for name, value in self.alphas.items() if f".{module}".endswith(f".{name}")), self.alpha)
        return alpha / math.sqrt(rank) if self.stabilised else alpha / rank


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _of_folder(folder: Path, *, mapped: bool) -> Payload:
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if file is None:
        raise CheckpointError(f"{folder} has an {CONFIG} and no {_FILES[0]}", hint="copy the whole folder")
    adapter = read(file)
    settings = adapter.sidecars.get(CONFIG)
    if not isinstance(settings, dict):
        raise CheckpointError(f"{folder / CONFIG} is not a mapping")
    scale = _Scale.of(settings, folder)
    where = _base_of(folder, str(settings.get("base_model_name_or_path") or ""))
    base = read(where, mapped=mapped)
    if not isinstance(base.tree, dict) or not isinstance(adapter.tree, dict):
        raise CheckpointError(f"{where} is not a state dict that an adapter can be merged into")
    return replace(
        base,
        path=file,
        digest=lambda: hashlib.sha256(f"{base.sha256} {adapter.sha256}".encode()).hexdigest(),
        tree=_merged(dict(base.tree), adapter.tree, scale),
        sidecars={**base.sidecars, **adapter.sidecars},
        notes=(f"the adapter was merged into {base.path.parent.name}/{base.path.name}",),
    )


def _base_of(folder: Path, name: str) -> Path:
    """Return the folder of the base model: beside the adapter, where its config says, or in the hub's cache."""
    if any((folder / file).is_file() for file in ("model.safetensors", "model.safetensors.index.json")):
        return _without_adapter(folder)
    named = [Path(name), folder / name, folder.parent / name, folder.parent / Path(name).name] if name else []
    for place in named:
        if place.is_dir() and place.resolve() != folder.resolve():
            return place
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(name, local_files_only=True))
        except Exception:  # its client has many kinds; none of them means more than that it is not here
            pass
    raise CheckpointError(
        f"{folder} holds an adapter (PEFT), which changes the weights of a base model that is not on this machine",
        found=f"base_model_name_or_path {name[:120]!r}",
        hint=f"put the folder of the base model next to it, or `hf download {name[:80] or 'NAME'}`; or merge them: "
        f"{_MERGE}",
    )


def _without_adapter(folder: Path) -> Path:
    return next(
        folder / name for name in ("model.safetensors", "model.safetensors.index.json") if (folder / name).is_file()
    )


def _merged(base: dict[str, Tensor], adapter: Mapping[str, Tensor], scale: _Scale) -> dict[str, Tensor]:
    """Return the base's tensors with the adapter's added; what has no place in the base is an error."""
    pairs, whole = _pairs({_bare(name): value for name, value in adapter.items()})
    names = {plain_name(unwrap(name)): name for name in base}
    for module, (down, up) in pairs.items():
        target = _find(names, f"{module}.weight")
        base[target] = base[target] + _delta(base[target], down, up, scale, module).to(base[target].dtype)
    for name, value in whole.items():
        found = names.get(plain_name(name))
        if found is not None and base[found].shape != value.shape:
            raise CheckpointError(
                "the adapter belongs to another base model", found=f"{name[:80]} {tuple(value.shape)}"
            )
        base[found or name] = value  # of `modules_to_save`: heads, mostly, which the base may not have
    return base


def _merged_in_place(state: dict[str, Tensor], scale: _Scale) -> dict[str, Tensor]:
    """Return the state dict of a model with adapters in it as that of the model with them merged."""
    tensors = {_bare(str(name)): value for name, value in state.items() if isinstance(value, Tensor)}
    pairs, whole = _pairs(tensors)
    found = {name.replace(".base_layer.", "."): value for name, value in whole.items()}
    found = {name: value for name, value in found.items() if ".original_module." not in name}
    found = {re.sub(r"\.modules_to_save\.[\w-]+\.", ".", name): value for name, value in found.items()}
    for module, (down, up) in pairs.items():
        name = f"{module}.weight"
        if name not in found:
            raise CheckpointError("an adapter has no weight to be added to", found=module[:80])
        found[name] = found[name] + _delta(found[name], down, up, scale, module).to(found[name].dtype)
    return found


def _bare(name: str) -> str:
    return unwrap(name).removeprefix("base_model.model.").removeprefix("base_model.")


def _pairs(adapter: Mapping[str, Tensor]) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, Tensor]]:
    """Return the low-rank pairs (A, B) by the module they are for, and the other tensors."""
    parts: dict[str, dict[str, Tensor]] = {}
    rest: dict[str, Tensor] = {}
    for name, value in adapter.items():
        if _OTHER.search(name):
            raise CheckpointError("the adapter is not plain LoRA", found=name[:80], hint=f"merge it: {_MERGE}")
        match = _LOW_RANK.fullmatch(name)
        if match is None:
            rest[name] = value
        elif match["part"] in parts.setdefault(match["module"], {}):
            raise CheckpointError("a module has several adapters", found=match["module"][:80], hint=_MERGE)
        else:
            parts[match["module"]][match["part"]] = value
    if odd := [module for module, pair in parts.items() if len(pair) != 2]:
        raise CheckpointError("an adapter lacks one of its two halves", found=odd[0][:80])
    return {module: (pair["A"], pair["B"]) for module, pair in parts.items()}, rest


def _find(names: Mapping[str, str], wanted: str) -> str:
    plain = plain_name(wanted)
    for prefix in ("", "vit.", "model.", "backbone."):
        for name in (plain.removeprefix(prefix), prefix + plain):
            if name in names:
                return names[name]
    raise CheckpointError("the adapter belongs to another base model", found=f"{wanted[:80]} is not in it")


def _delta(weight: Tensor, down: Tensor, up: Tensor, scale: _Scale, module: str) -> Tensor:
    rank = down.shape[0]
    fits = down.ndim == up.ndim in (2, 4) and rank == up.shape[1] and 0 < rank <= _LARGEST_RANK
    if not fits or (up.ndim == 4 and up.shape[2:] != (1, 1)):
        raise CheckpointError("an adapter's two halves do not fit", found=module[:80])
    product = up.flatten(1).double() @ down.flatten(1).double()
    change = product.reshape(up.shape[0], *down.shape[1:]).to(torch.float32)
    change = change.T if scale.transposed and change.ndim == 2 else change
    if change.shape != weight.shape:
        found = f"{module[:80]} {tuple(change.shape)}, the base's {tuple(weight.shape)}"
        raise CheckpointError("the adapter belongs to another base model", found=found)
    return change * scale.factor(module, rank)
