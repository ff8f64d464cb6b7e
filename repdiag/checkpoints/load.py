"""`load_encoder`: anybody's checkpoint file to an eval-mode encoder, or a refusal that says what would change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from repdiag.checkpoints.adapters import read_checkpoint
from repdiag.checkpoints.callables import encoder_of_callable
from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.exported_encoder import exported_encoder, is_exported
from repdiag.checkpoints.facts import assumptions_note
from repdiag.checkpoints.fitting.input import Input, feature_dim, input_of
from repdiag.checkpoints.fitting.projection_heads import build_head, head_activation, head_tensors
from repdiag.checkpoints.fitting.resolve import Resolved, resolve
from repdiag.checkpoints.formats.format import Branch, Format
from repdiag.checkpoints.own.convert import format_of, is_converted, own_tree, read_header, write_foreign, write_own
from repdiag.checkpoints.own.native import FORMAT, is_native, verify_native
from repdiag.checkpoints.own.native_encoder import native_encoder, refuse_for_own
from repdiag.checkpoints.read_options import ReadKeywords, ReadOptions
from repdiag.checkpoints.reading.contents import Contents
from repdiag.checkpoints.reading.one_error import one_kind_of_error
from repdiag.checkpoints.reading.safe_load import Payload
from repdiag.checkpoints.recognise import recognise
from repdiag.core.errors import CheckpointError, UsageError, unknown_name
from repdiag.core.printable import one_line
from repdiag.models.backbones import Backbone
from repdiag.models.network_libraries import import_network_libraries

_SUFFIXES = (".tar", ".pth", ".pt", ".th", ".ckpt", ".safetensors", ".bin", ".onnx", ".tflite", ".pte")


def load_encoder(
    source: Path | str | Callable[[torch.Tensor], Any],
    *,
    branch: str | None = None,
    name: str | None = None,
    device: str = "cpu",
    **read: Unpack[ReadKeywords],
) -> Encoder:
    """Return the encoder of a checkpoint file in eval mode; nothing in the file is executed.

    `source` is a checkpoint file. It may also be a module or function in memory, images [B, 3, S, S] -> features [B,
    D]; then give `image_size`. All keywords are fields of `ReadOptions`. `branch` chooses the student or the teacher
    (query or key, online or target, ema); by default the format decides. `backbone` names the architecture
    (torchvision, timm, or your own `file.py:function`), `prefix` the start of its tensor names. `heads`, `pool`,
    `activation`, `norm_eps`, `grid`, `resample`, `stem`, `stem_padding`, `output_stride`, `dilated` and `stride_in` set
    what tensors do not record. `image_size`, `resize`, `interpolation`, `channel_order`, `mean` and `std` replace the
    preprocessing of the format.

    Raises `CheckpointError` if a parameter of the backbone stays unfilled, or if a keyword has no effect on this
    network.

    Example:
        >>> import repdiag
        >>> from torch import nn
        >>> encoder = repdiag.load_encoder(nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), image_size=8)
        >>> encoder.info.feature_dim
        12
    """
    unknown = sorted(set(read) - {item.name for item in fields(ReadOptions)})
    if unknown:
        raise unknown_name("option of load_encoder", unknown[0], [item.name for item in fields(ReadOptions)])
    read_options = ReadOptions(branch=branch, **read)
    if callable(source):
        if set(read_options.to_dict()) - {"image_size", "mean", "std"}:
            raise UsageError("an encoder in memory takes image_size, mean, std and name only")
        size, mean, std = read_options.image_size, read_options.mean, read_options.std
        found = encoder_of_callable(source, image_size=size, mean=mean, std=std, name=name)
        return found.to(torch.device(device))
    return load_with_options(source, read_options, name=name).to(torch.device(device))


def load_with_options(path: Path | str, read_options: ReadOptions, *, name: str | None = None) -> Encoder:
    """Return the encoder of a checkpoint file, read as the options say; see `load_encoder`."""
    with one_kind_of_error(Path(path)):
        if is_exported(Path(path)):
            return exported_encoder(Path(path), read_options, name=name or _short_name(Path(path)))
        if read_options.output is not None:
            raise UsageError("--output names a tensor of an exported graph", found=f"{path} is none")
        return encoder_of(read_checkpoint(path, mapped=True), read_options, name=name or _short_name(Path(path)))[0]


def convert_checkpoint(path: Path | str, out: Path, read_options: ReadOptions | None = None) -> EncoderInfo:
    """Write the encoder of a checkpoint in our own safe form and return what was recognised."""
    if is_exported(Path(path)):
        raise CheckpointError(f"{path} is an exported graph, which has no weights to convert", hint="give its source")
    payload = read_checkpoint(path, mapped=True)
    with one_kind_of_error(Path(path)):
        encoder, resolved = encoder_of(payload, read_options or ReadOptions(), name=_short_name(Path(path)))
    if resolved is not None:
        write_foreign(out, Contents(payload), resolved)
    elif is_native(payload.tree):
        write_own(out, payload, encoder.info.branch)
    else:
        raise CheckpointError(f"{path} is in our own safe form already")
    return encoder.info


def encoder_of(payload: Payload, read_options: ReadOptions, *, name: str) -> tuple[Encoder, Resolved | None]:
    """Return the encoder of a file that has been read, and how it was resolved (None for our own format)."""
    import_network_libraries()
    header = read_header(payload) if is_converted(payload) else {}
    if header:
        payload = replace(payload, integrity="its own digest")
    contents = Contents(payload)
    own: Mapping[str, Any] | None = own_tree(payload, header) if "own" in header else None
    if is_native(payload.tree):
        verify_native(payload.tree, path=payload.path)
        own = payload.tree
    if own is not None:
        _expect_family(FORMAT, read_options, payload)
        refuse_for_own(read_options)
        encoder = native_encoder(
            payload, own, name=name, branch=read_options.branch, backbone_name=read_options.backbone
        )
        encoder.info = replace(encoder.info, **read_options.input_changes())
        return encoder, None
    form = format_of(header) if header else recognise(contents)
    _expect_family(form.name, read_options, payload)
    resolved = resolve(contents, form, read_options)
    seen = input_of(contents, resolved, read_options)
    resolved = replace(resolved, format=replace(form, preprocessing=seen.as_certain()))
    encoder = _assemble(contents, resolved, seen, name=name)
    if header:
        encoder.info = replace(encoder.info, epoch=header.get("epoch"))
    return encoder, resolved


def _expect_family(found: str, read_options: ReadOptions, payload: Payload) -> None:
    if read_options.family not in (None, found):
        raise CheckpointError(
            f"{payload.path} is not a file of the given family",
            found=f"recognised as {found}, given as {read_options.family}",
            hint="correct the family, or leave it out",
        )


def _assemble(contents: Contents, resolved: Resolved, seen: Input, *, name: str) -> Encoder:
    form, branch, fitted = resolved.format, resolved.branch, resolved.fitted
    dim = feature_dim(fitted.network, seen.size)
    backbone = Backbone(fitted.network, name=fitted.candidate.name, layer=fitted.candidate.layer, feature_dim=dim)
    projector = _projector(contents, form, branch, dim=dim)
    classifier = None if projector else _classifier(resolved, dim)
    payload = contents.payload
    facts = (*fitted.candidate.facts, *seen.facts)
    info = EncoderInfo(
        name=name,
        path=str(payload.path),
        sha256=payload.sha256,
        family=form.name,
        backbone=backbone.name,
        branch=branch.name,
        layer=backbone.layer,
        feature_dim=dim,
        projection_dim=_width(projector),
        image_size=seen.size,
        resize=seen.resize,
        squash=seen.preprocessing.squash,
        bgr=seen.preprocessing.bgr,
        interpolation=seen.preprocessing.interpolation,
        mean=seen.preprocessing.mean,
        std=seen.preprocessing.std,
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
        epoch=_epoch(contents),
        match=fitted.match.fraction,
        training=_recorded(form, contents),
        notes=(*form.notes, *form.notes_on(contents), *fitted.candidate.assumptions, *_notes(resolved, payload),
               *_notes_on_modules(contents), *assumptions_note(facts)),
        facts=facts,
    )  # fmt: skip
    return Encoder(backbone, info, projector, classifier=classifier)


def _projector(contents: Contents, form: Format, branch: Branch, *, dim: int) -> nn.Module | None:
    activation = head_activation(contents, form, branch)
    for part in branch.projector:
        tensors = head_tensors(contents, branch, part)
        head = build_head(tensors, in_dim=dim, activation=activation) if tensors else None
        if head is not None and sum(isinstance(layer, nn.Linear) for layer in head) >= form.least_linear:
            return head
    return None


def _classifier(resolved: Resolved, dim: int) -> nn.Module | None:
    """Return the linear layer on the features that the file brings, if it has one."""
    for prefix in ("fc.", "linear.", "head.", "head.fc.", "classifier.", "heads.head."):
        head = {name.removeprefix(prefix): value for name, value in resolved.renamed.state.items()
                if name in (f"{prefix}weight", f"{prefix}bias")}  # fmt: skip
        if head:
            return build_head(head, in_dim=dim)
    return None


def _width(projector: nn.Module | None) -> int | None:
    linear = [layer for layer in projector.modules() if isinstance(layer, nn.Linear)] if projector else []
    return linear[-1].out_features if linear else None


def _epoch(contents: Contents) -> int | None:
    epoch = contents.setting("epoch")
    return epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None


def _recorded(form: Format, contents: Contents) -> dict[str, Any]:
    found: Mapping[str, Any] = form.training(contents)
    plain = {key: value for key, value in found.items() if isinstance(value, str | int | float | bool)}
    return {key: one_line(value) if isinstance(value, str) else value for key, value in plain.items()}


def _notes_on_modules(contents: Contents) -> tuple[str, ...]:
    """Say that a file of pickled modules was read for its tensors, and none of its code run."""
    if not (named := contents.modules):
        return ()
    shown = ", ".join(named[:3])
    return (f"of the pickled {shown} the tensors are read and no code; that it computes what its names say is assumed",)


def _notes(resolved: Resolved, payload: Payload) -> tuple[str, ...]:
    unknown = [name for name, role in resolved.roles.items() if role == "unknown"]
    notes = list(payload.notes)
    notes += [f"{kind} was multiplied out of the weights" for kind in resolved.factors]
    notes += [f"{len(unknown)} tensors were not understood and not used, from {unknown[0]}"] if unknown else []
    eight_bits = [name for name, value in resolved.renamed.state.items() if _has_eight_bits(value)]
    if eight_bits:
        notes.append(
            f"{len(eight_bits)} tensors have eight bits, the first is {eight_bits[0]}: they are read as they stand, "
            "which no flag changes; where they were stored with scales, save the weights multiplied out"
        )
    if payload.integrity == "unknown":
        notes.append("the file has no checksum, so its integrity is unknown; compare its sha256")
    return tuple(notes)


def _has_eight_bits(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.itemsize == 1


def _short_name(path: Path) -> str:
    name = path.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
