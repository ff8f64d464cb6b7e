"""The encoders of a comparison tried out downstream, beside their diagnosis."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import RepdiagError

if TYPE_CHECKING:
    from repdiag.workflows.options import AnalysisOptions
    from repdiag.workflows.probed import Probed
    from repdiag.workflows.speaking import Speaker


def probe_compared(
    targets: Sequence[Any], options: AnalysisOptions, out: Path, *, told: Speaker, names: Collection[str]
) -> tuple[Probed, ...]:
    """Return what each protocol of `options.probes` found of each encoder that was analyzed.

    All train and val images are used, or `options.limit` of each. An encoder that a protocol cannot read is left out of
    it, and said. Training runs are kept beside `out`, so that a killed comparison goes on.
    """
    from repdiag.workflows.probe import ProbeOptions, chosen_protocol, probe_checkpoint

    asked = ProbeOptions(
        data=options.data,
        limit=options.limit,
        download=options.download,
        strict_data=options.strict_data,
        check_content=options.check_content,
        machine={
            **{name: getattr(options, name) for name in ("device", "batch_size", "workers", "fast", "cache")},
            "counting": told.counting,
        },
        fits=out.with_name(f"{out.name}-fits"),
    )
    found: list[Probed] = []
    for protocol in [chosen_protocol(name, {"seed": options.seed}) for name in options.probes]:
        for target in targets:
            if target.name not in names:
                continue
            told.say(f"{protocol.name}: {target.name}")
            try:
                source = getattr(target, "encoder", target)
                found.append(probe_checkpoint(source, protocol, _for(protocol, asked), name=target.name))
            except RepdiagError as error:
                told.say(f"left out of {protocol.name}: {target.name}: {error}")
    return tuple(found)


def _for(protocol: Any, options: Any) -> Any:
    """Return the options; detectors run on composed scenes, whatever the comparison's images are."""
    from dataclasses import replace

    from repdiag.downstream.detection import DetectionSettings

    return replace(options, data=None, limit=None) if isinstance(protocol.settings, DetectionSettings) else options
