"""The stored figures of a run as images inside the page, each with the question that it answers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from markupsafe import Markup

# In the order of the argument: everything on one page, then classes, then instances, then the space itself.
ORDER = (
    "checkpoint_comparison",
    "deployment_tradeoff",
    "setting_curves",
    "split_classes",
    "over_cluster_curve",
    "class_distance_distributions",
    "cluster_class_confusion",
    "alignment_uniformity_plane",
    "instance_discrimination_bars",
    "singular_spectrum",
    "embedding_map",
    "training_history",
    "training_trajectory",
    "scatter_against_accuracy",
)
_LARGEST_SVG = 600_000


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure."""

    name: str
    title: str
    question: str
    source: Markup


def drawings_in(folder: Path, *, names: Sequence[str] = ORDER) -> tuple[Drawing, ...]:
    """Return the figures that the folder holds."""
    found = []
    for name in names:
        path = _smaller(folder / f"{name}.svg", folder / f"{name}.png")
        if path is not None:
            question = (import_module(f"repdiag.plots.{name}").__doc__ or "").partition("\n")[0]
            title = name.replace("_", " ").capitalize()
            found.append(Drawing(name=name, title=title, question=question, source=data_uri(path.read_bytes(), path)))
    return tuple(found)


def data_uri(content: bytes, path: Path) -> Markup:
    """Return an image as a data URI; as the source of an <img> an SVG can neither run scripts nor load anything."""
    kind = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}[path.suffix]
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}")


def _smaller(svg: Path, png: Path) -> Path | None:
    if svg.is_file() and (svg.stat().st_size <= _LARGEST_SVG or not png.is_file()):
        return svg
    return png if png.is_file() else None
