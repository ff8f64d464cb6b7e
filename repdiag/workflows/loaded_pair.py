"""Two encoders that are held against each other, loaded; a graph that does not say how it is fed is fed alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.workflows.options import AnalysisOptions


def loaded(sources: Mapping[str, Any], options: AnalysisOptions) -> dict[str, Any]:
    """Return the sources with each encoder loaded, and vectors as they are: for what looks at the same pair twice."""
    from repdiag.workflows.vectors import is_vectors

    encoders = load_pair({name: one for name, one in sources.items() if not is_vectors(one)}, options)
    return {name: encoders.get(name, one) for name, one in sources.items()}


def load_pair(sources: Mapping[str, Any], options: AnalysisOptions) -> dict[str, Encoder]:
    """Return the encoders; a graph that does not say how it is fed is fed like the other encoder."""
    from repdiag.checkpoints.exported.exported_encoder import exported_encoder, is_exported
    from repdiag.checkpoints.reading.one_error import one_kind_of_error
    from repdiag.workflows.analyze import load_source
    from repdiag.workflows.targets import find_checkpoint

    found: dict[str, Encoder] = {}
    graphs: dict[str, Any] = {}
    for name, source in sources.items():
        here = find_checkpoint(source, download=options.download) if isinstance(source, str) else source
        place = getattr(here, "path", here)
        if isinstance(place, str | Path) and is_exported(Path(place)):
            graphs[name] = here
        else:
            found[name] = load_source(here, options)[0]
    partner = next((encoder.info for encoder in found.values()), None)
    for name, here in graphs.items():
        target = find_checkpoint(str(here)) if isinstance(here, Path) else here
        with one_kind_of_error(target.path):
            read = options.read_options.over(target.read_options)
            found[name] = exported_encoder(target.path, read, name=target.name, partner=partner)
    return {name: found[name] for name in sources}
