"""Our own safe form of anybody's checkpoint: one safetensors file whose header says all that reading it back needs.

The tensors keep the names that they have in the source; the header holds what was recognised and assumed about them,
so that nothing is guessed a second time, and a digest, which safetensors lacks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.named import candidate_by_name
from repdiag.checkpoints.architectures.said import as_said
from repdiag.checkpoints.facts import FAMILY, Origin
from repdiag.checkpoints.fitting.projection_heads import head_activation, head_tensors
from repdiag.checkpoints.fitting.resolve import Resolved
from repdiag.checkpoints.formats.format import Branch, Facts, Format, Preprocessing
from repdiag.checkpoints.formats.hugging_face_classes import networks_of_config
from repdiag.checkpoints.formats.registry import all_formats
from repdiag.checkpoints.own.native import payload_digest
from repdiag.checkpoints.reading.contents import Contents
from repdiag.checkpoints.reading.safe_load import Payload
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.core.files import write_atomic

FORMAT = "repdiag.encoder.v1"
_NATIVE = ("config", "progress", "normalization", "image_size")
_LONGEST_HEADER = 2**26
_PREFIX = "encoder."
_PARTS = ("backbone", "projector")


def write_foreign(path: Path, contents: Contents, resolved: Resolved) -> Path:
    """Write the encoder and the heads of a foreign file; what it holds besides is left."""
    state = contents.state(resolved.branch.place) or {}
    kept = {name: value for name, value in state.items() if resolved.roles[name] in ("backbone", "head")}
    form, branch = resolved.format, resolved.branch
    elsewhere = [part for part in branch.projector if ":" in part]  # heads that the file keeps in another place
    prefix = branch.prefix or (_PREFIX if elsewhere else "")  # so that the encoder's names end before the heads'
    kept = {prefix.removesuffix(branch.prefix) + name: value for name, value in kept.items()}
    for part in elsewhere:
        kept |= {part.replace(":", ".") + name: value for name, value in head_tensors(contents, branch, part).items()}
    moved = replace(branch, prefix=prefix, projector=tuple(part.replace(":", ".") for part in branch.projector))
    header = {
        "family": form.name,
        "branch": asdict(moved),
        "facts": asdict(resolved.facts),
        "head_activation": head_activation(contents, form, branch),
        "arch": resolved.fitted.candidate.name,
        "settings": dict(resolved.fitted.candidate.settings),
        **({"config": dict(resolved.fitted.candidate.config)} if resolved.fitted.candidate.config is not None else {}),
        "preprocessing": asdict(form.preprocessing_of(contents)),
        "training": {key: value for key, value in form.training(contents).items() if _is_plain(value)},
        "epoch": contents.setting("epoch") if _is_plain(contents.setting("epoch")) else None,
    }
    return _write(path, kept, header, source=contents.payload.sha256)


def write_own(path: Path, payload: Payload, branch: str) -> Path:
    """Write one branch of a checkpoint that `repdiag train` wrote."""
    tree = payload.tree
    prefix = "momentum_" if branch == "momentum" else ""
    kept = {
        f"{part}.{name}": value
        for part in _PARTS
        for name, value in (tree.get(prefix + part) or {}).items()
        if isinstance(value, Tensor)
    }
    return _write(path, kept, {"own": {name: tree[name] for name in _NATIVE}}, source=payload.sha256)


def is_converted(payload: Payload) -> bool:
    """Say whether a file is in this form."""
    return payload.metadata.get("format") == FORMAT


def read_header(payload: Payload) -> dict[str, Any]:
    """Return the header after checking that neither it nor a tensor has changed since it was written."""
    text = payload.metadata.get("header", "")
    if payload.metadata.get("digest") != payload_digest({"header": text, **payload.tree}):
        raise CheckpointError(
            f"{payload.path} is damaged: its content does not match its digest", hint="convert the source again"
        )
    header: dict[str, Any] = json.loads(text)
    return header


def own_tree(payload: Payload, header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree of our own format that a converted file of ours stands for."""
    parts: dict[str, Any] = {part: {} for part in _PARTS}
    for name, value in payload.tree.items():
        part, _, inner = name.partition(".")
        parts[part][inner] = value
    return {**parts, **header["own"]}


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raise `UsageError` unless a file of this form may be written to `path`: only one of this form is replaced."""
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite and path.is_file():
        raise UsageError(f"{path} exists", hint="--overwrite replaces it, if repdiag wrote it")
    if not _is_of_this_form(path):
        raise UsageError(f"{path} is not a file that repdiag wrote", hint="choose another name")


def _is_of_this_form(path: Path) -> bool:
    """Say whether a file begins as ours do; nothing of it is trusted."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length < _LONGEST_HEADER else None
        return isinstance(header, dict) and header["__metadata__"]["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def format_of(header: Mapping[str, Any]) -> Format:
    """Return the family's format with everything that was found out about this file fixed."""
    base = next((form for form in all_formats() if form.name == header["family"]), None)
    if base is None:
        raise CheckpointError(f"the family {header['family']!r} is not known", hint="install a newer repdiag")
    facts = header["facts"] | {
        "heads": {int(width): heads for width, heads in header["facts"]["heads"].items()},
        "grid": tuple(header["facts"]["grid"]) if header["facts"].get("grid") else None,
        "origins": _origins(header["facts"]),
    }
    if facts["pool"] == "projection":  # as files of before 0.4 call it
        facts |= {"pool": "token", "project": True}
    branch = header["branch"] | {"place": "", "projector": tuple(header["branch"]["projector"])}
    pixels = header["preprocessing"] | {
        **{name: tuple(header["preprocessing"][name]) for name in ("mean", "std")},
        "origin": Origin(*header["preprocessing"].get("origin", FAMILY)),
        "origins": _origins(header["preprocessing"]),
    }
    return replace(
        base,
        branches=(Branch(**branch),),
        facts=Facts(**facts),
        head_activation=header.get("head_activation", base.head_activation),
        preprocessing=Preprocessing(**pixels),
        networks=lambda contents, state, facts: _as_recorded(header, facts),  # noqa: ARG005
        last_networks=lambda contents, state, facts: _of_config(header, state, facts),  # noqa: ARG005
        notes_on=lambda contents: (),  # noqa: ARG005
        arch=lambda contents: header["arch"],  # noqa: ARG005
        training=lambda contents: header["training"],  # noqa: ARG005
    )


def _as_recorded(header: Mapping[str, Any], facts: Facts) -> list[Candidate]:
    settings = header.get("settings") or {}
    return [as_said(candidate_by_name(header["arch"], settings), facts)] if settings else []


def _of_config(header: Mapping[str, Any], state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    config = header.get("config")
    return networks_of_config(config, dict(state), facts) if isinstance(config, dict) else []


def _origins(fields: Mapping[str, Any]) -> dict[str, Origin]:
    return {name: Origin(*origin) for name, origin in fields.get("origins", {}).items()}


def _write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], *, source: str) -> Path:
    from safetensors.torch import save

    content = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    text = json.dumps({**header, "source_sha256": source}, sort_keys=True)
    digest = payload_digest({"header": text, **content})
    data = save(content, metadata={"format": FORMAT, "header": text, "digest": digest})
    head, length = _in_order(data)
    return write_atomic(path, lambda stream: stream.writelines((head, memoryview(data)[length:])))


def _in_order(data: bytes) -> tuple[bytes, int]:
    """Return a safetensors file's head with its metadata in order, and the length of the old head.

    The library writes the metadata in another order each time, and the same encoder is to be the same file.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, 8 + length


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)
