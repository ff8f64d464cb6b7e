"""Files and folders that hold weights in other ways, or several checkpoints: what each is and what to do with it."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path

from repdiag.core.errors import CheckpointError

_KERAS = "in Keras, weights = {v.path: v.numpy() for v in model.weights}; save them with safetensors.numpy.save_file"
_CALLABLE = (
    "take the model that it was converted from, or run it in Python: repdiag.drift(old, repdiag.load_encoder(function, "
    "image_size=N, mean=..., std=...), data=...), function: images [B, 3, N, N] -> features [B, D]"
)
CORE_ML = ("a Core ML model, which macOS alone runs", _CALLABLE)
PROGRAM = (
    "it holds code. Where you trust it: torch.onnx.export(torch.export.load(path).module(), "
    "(torch.zeros(1, 3, 224, 224),), 'out.onnx'), at its own size; repdiag reads out.onnx"
)
SCRIPT = (
    "where you trust it: torch.onnx.export(torch.jit.load(path), (torch.zeros(1, 3, 224, 224),), 'out.onnx', "
    "dynamo=False), at its own size; repdiag reads out.onnx. Or save its state_dict() with torch.save"
)
# By the last part of the name; the bytes of the first and of the last are anybody's.
_SUFFIXES = {
    ".gguf": ("a GGUF file of llama.cpp", "its tensors are quantised; take the model's safetensors file instead"),
    ".ort": ("an ONNX graph in onnxruntime's own form", "give the .onnx that it was made of"),
    ".msgpack": ("Flax weights", "in transformers: from_pretrained(folder, from_flax=True).save_pretrained(out)"),
    ".pb": ("a TensorFlow graph", "export its variables to safetensors"),
    ".index": ("the index of a TensorFlow checkpoint", "export its variables to safetensors"),
    ".meta": ("the graph of a TensorFlow checkpoint", "export its variables to safetensors"),
    ".mlmodel": CORE_ML,
    ".engine": ("a TensorRT engine", "take the model that it was built from"),
    ".pdparams": ("Paddle weights", "export them to safetensors"),
}  # fmt: skip
_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".tar", ".th", ".safetensors", ".bin", ".torch")
_MOST_LOOKED_AT = 5_000
_SHOWN = 8


def other_format(path: Path, start: bytes) -> tuple[str, str] | None:
    """Return what a file is by its first bytes or its suffix, and what to do with it; None for what is not known."""
    if start.startswith(b"GGUF"):
        return _SUFFIXES[".gguf"]
    if ".data-0" in path.name:
        return _SUFFIXES[".index"]
    return _SUFFIXES.get(path.suffix.lower())


def archive_hint(names: Collection[str]) -> str | None:
    """Return what to do with a zip archive that torch.save did not write, by the names in it."""
    if any(name.endswith(("model.weights.h5", "metadata.json")) for name in names):
        return f"it is a Keras model; {_KERAS}"
    if names and all(name.endswith(".npy") for name in names):
        return (
            "it is a numpy archive (.npz): repdiag analyze reads embeddings from it; weights: safetensors.torch."
            "save_file({name: torch.from_numpy(array) for name, array in numpy.load(path).items()}, out)"
        )
    return None


def is_exported_program(names: Collection[str]) -> bool:
    """Say whether a zip archive is a program of torch.export, by the names in it."""
    ends = ("serialized_exported_program.json", "archive_format", "models/model.json")
    return any(name.endswith(ends) for name in names)


PICKLE_HINT = (
    "detectron2 and other projects save such files: where you trust it, "
    "pickle.load it and torch.save the dict of tensors ('model' in detectron2's)"
)


def only_checkpoint(folder: Path) -> Path:
    """Return the one checkpoint in a folder, at most three folders down; none or several are a `CheckpointError`."""
    if folder.suffix == ".mlpackage":
        raise CheckpointError(f"{folder} is {CORE_ML[0]}", found="repdiag inspect shows it", hint=CORE_ML[1])
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        raise CheckpointError(
            f"{folder} holds an adapter (PEFT), which changes the weights of a base model that is not in it",
            hint="merge them: peft.PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(out)",
        )
    levels = (folder.glob("*/" * depth + "*") for depth in range(4))
    looked_at = itertools.islice(itertools.chain.from_iterable(levels), _MOST_LOOKED_AT)
    found = sorted(item for item in looked_at if item.suffix.lower() in _CHECKPOINTS and item.is_file())
    if len(found) == 1:
        return found[0]
    if not found:
        raise CheckpointError(f"no weights in the folder {folder}", hint=f"expected {' or '.join(_CHECKPOINTS)}")
    shown = "\n    ".join(str(item.relative_to(folder)) for item in found[:_SHOWN])
    more = f"\n    and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise CheckpointError(
        f"{folder} holds {len(found)} checkpoints, and does not say which one to read",
        found=f"\n    {shown}{more}",
        hint=f"give one of them, such as {found[-1]}",
    )
