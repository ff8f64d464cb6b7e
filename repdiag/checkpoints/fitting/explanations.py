"""What may be wrong where a file does not fill a network, the nearest first, with the flag that would change it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping

from torch import Tensor

from repdiag.checkpoints.architectures.transformers import why_no_grid, why_no_patches
from repdiag.checkpoints.fitting.infer_arch import Fitted
from repdiag.checkpoints.fitting.match import match
from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.formats.hugging_face_classes import INSTALL
from repdiag.checkpoints.formats.hugging_face_shapes import kinds_of
from repdiag.checkpoints.keymaps import KEYMAPS, rename
from repdiag.checkpoints.reading.contents import Contents, State, under
from repdiag.core.errors import CheckpointError

_NEARLY = 0.9  # a file that fills so much is more likely incomplete than of another architecture


def unknown_architecture(
    where: str, renamed: State, state: State, *, unsupported: str | None = None
) -> CheckpointError:  # fmt: skip
    """Return the error for tensors that no known network has, or for a setting that no known network follows."""
    shown = "\n    ".join(f"{name[:90]} {tuple(value.shape)}" for name, value in list(state.items())[:8])
    hint = _changed_weights(state) or why_no_grid(renamed) or why_no_patches(renamed)
    if unsupported is not None:
        return CheckpointError(
            f"{where} records settings that no known network has",
            found=unsupported,
            hint=f"{INSTALL}; or --backbone your_file.py:function",
        )
    if hint is None and "hugging_face" in where and importlib.util.find_spec("transformers") is None:
        hint = f"{INSTALL}; or --backbone your_file.py:function"
    elif hint is None and kinds_of(state) and importlib.util.find_spec("transformers") is None:
        hint = f"the names are those of Hugging Face transformers: {INSTALL}"
    elif hint is None and "hugging_face" not in where and _has_names_of_transformers(state):
        hint = "the names are those of Hugging Face transformers: put the model's config.json next to the file"
    return CheckpointError(
        f"the architecture of {where} is not recognised",
        found=f"{len(state)} tensors:\n    {shown}",
        hint=hint
        or "--backbone NAME (torchvision or timm), --backbone your_file.py:function, or --prefix NAME. "
        "where the encoder's names start otherwise",
    )


def _has_names_of_transformers(state: Mapping[str, Tensor]) -> bool:
    return any(
        re.search(r"(^|\.)(embeddings|patch_embeddings|embedder|conv_stem)\.(\w+\.)*\w+$", name) for name in state
    )


_CHANGED = (
    (r"(^|\.)lora_(A|B|embedding_A)(\.|$)", "low-rank adapters that are not merged (LoRA): merge them first (peft: "
                                            "model.merge_and_unload()), or put their adapter_config.json, which "
                                            "holds the scale, next to the file"),
    (r"\.SCB$|\.weight_format$|\.absmax$|\.quant_state|\._packed_params|\.qweight$|\.scales$", "quantised weights: "
     "save the model again before it is quantised"),
    (r"(^|\.)prompt_embeddings$|(^|\.)deep_prompt_embeddings$", "prompts among the tokens (visual prompt tuning): the "
     "backbone alone computes something else; --backbone your_file.py:function with its forward"),
    (r"\.adapter_(down|up|norm)|\.adaptmlp\.", "adapters between the layers: --backbone your_file.py:function"),
)  # fmt: skip


def _changed_weights(state: Mapping[str, Tensor]) -> str | None:
    """Say what to do with weights that training or packing wrapped: adapters, prompts, quantisation."""
    for pattern, said in _CHANGED:
        count = sum(bool(re.search(pattern, name)) for name in state)
        if count:
            return f"{count} tensors are of {said}"
    return None


def explanations(contents: Contents, form: Format, branch: Branch, *, fitted: Fitted) -> list[str]:
    """Return what may be wrong, the nearest first, with the flag that would change it."""
    return [_other_network(fitted), _other_prefix(contents, branch), _other_branch(contents, form, branch, fitted)]


def _other_network(fitted: Fitted) -> str:
    if changed := _changed_weights(fitted.given):
        return changed
    if fitted.match.complete:
        return "the file has layers that this architecture lacks: name the right one with --backbone"
    another = "another architecture: --backbone NAME or --backbone your_file.py:function"
    return another if fitted.match.fraction < _NEARLY else f"the file is incomplete, or {another}"


def _other_prefix(contents: Contents, branch: Branch) -> str:
    state = contents.state(branch.place) or {}
    starts = sorted({name.partition(".")[0] for name in state if "." in name})[:6]
    return f"another prefix: --prefix, one of {', '.join(start + '.' for start in starts)}"


def _other_branch(contents: Contents, form: Format, branch: Branch, fitted: Fitted) -> str:
    """Say which other branches there are, and how much of the same network each would fill."""
    filled: dict[str, float] = {}
    for other in form.present_branches(contents):
        if other.name != branch.name:
            state = rename(under(contents.state(other.place) or {}, other.prefix), KEYMAPS).state
            filled[other.name] = max(filled.get(other.name, 0.0), match(fitted.network, state).fraction)
    if not filled:
        return "the file has no other branch"
    return "another branch: " + " or ".join(f"--branch {name} (fills {part:.0%})" for name, part in filled.items())
