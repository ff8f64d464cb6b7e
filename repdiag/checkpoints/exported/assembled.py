"""An encoder of an exported file and the module that runs it: what it is fed with, and where that was read."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.exported_module import ExportedModule
from repdiag.checkpoints.exported.feeding import fed_input, fed_like, own_metadata
from repdiag.checkpoints.exported.ports import ExportedFile
from repdiag.checkpoints.facts import ASSUMED, Fact, assumptions_note, recorded, told
from repdiag.checkpoints.read_options import ReadOptions, flag_of
from repdiag.core.errors import UsageError
from repdiag.core.printable import one_line

_TAKEN = {"output", "pool", "image_size", "resize", "interpolation", "channel_order", "mean", "std"}


@dataclass(frozen=True, kw_only=True)
class Runner:
    """What runs a file: the family's name, the file in words, the runtime in words."""

    family: str
    backbone: str
    by: str


def assembled(
    file: ExportedFile,
    module: ExportedModule,
    runner: Runner,
    *,
    read_options: ReadOptions,
    name: str,
    partner: EncoderInfo | None,
) -> Encoder:
    """Return the encoder; one run on black pixels says how wide it is."""
    image, output, own = module.image, module.output, own_metadata(file)
    fed = fed_input(file, image, own=own, read_options=read_options, partner=partner)
    with torch.inference_mode():
        width = module(torch.zeros(1, 3, fed.size, fed.size)).shape[1]
    layout = recorded("the graph") if image.layout_is_known else ASSUMED
    facts = (
        *fed.facts,
        Fact.of("layout", image.layout, layout),
        Fact.of("output", one_line(output, 60), told("--output") if read_options.output else recorded("the graph")),
        *([Fact.of("pooling", read_options.pool, told("--pool"))] if read_options.pool else []),
    )
    batch = "" if image.batch is None else f", {image.batch} images at a time as the graph is fixed"
    run_by = f"run by {runner.by}, {torch.get_num_threads()} threads{batch}"
    info = EncoderInfo(
        name=name,
        path=str(file.path),
        sha256=module.sha256,
        family=runner.family,
        backbone=runner.backbone,
        branch="online",
        layer=one_line(str(own.get("layer") or output), 60),
        feature_dim=int(width),
        image_size=fed.size,
        resize=fed.resize,
        squash=fed.preprocessing.squash,
        bgr=fed.preprocessing.bgr,
        interpolation=fed.preprocessing.interpolation,
        mean=fed.preprocessing.mean,
        std=fed.preprocessing.std,
        parameters=file.parameters,
        notes=(run_by, *fed_like(fed, partner), *assumptions_note(facts)),
        facts=facts,
    )
    return Encoder(module, info)


def refuse_other_options(read_options: ReadOptions) -> None:
    """Raise `UsageError` where an option is for networks, which have weights to read."""
    refused = sorted(set(read_options.to_dict()) - _TAKEN)
    if refused:
        found = ", ".join(flag_of(one) for one in refused)
        raise UsageError("a graph runs as it is: these options have no effect on it", found=found)
