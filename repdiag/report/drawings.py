"""The stored figures of a run as images inside the page, each with what it shows; they follow the page's theme."""

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
# Matplotlib writes styles in place: what is important overrules them. Text in black has no fill of its own.
_INK = {
    **{"#000000": "#ececec", "#444444": "#c4c4c4", "#555555": "#b4b4b4", "#666666": "#a9a9a9", "#777777": "#a0a0a0"},
    **{"#888888": "#909090", "#bbbbbb": "#606066", "#cccccc": "#55555a", "#dddddd": "#3f3f44", "#ffffff": "#111113"},
}
_DARK = (
    # The message stands above the figure, in words that grow with the page.
    "<style>#message { display: none; } @media (prefers-color-scheme: dark) { svg { fill: #ececec; } "
    + " ".join(
        f'[style*="{kind}: {old}"] {{ {kind}: {new} !important; }}'
        for old, new in _INK.items()
        for kind in ("fill", "stroke")
    )
    + " }</style>"
).encode()


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure."""

    name: str
    message: str
    note: str
    source: Markup


def drawings_in(folder: Path, *, names: Sequence[str] = ORDER) -> tuple[Drawing, ...]:
    """Return the figures that the folder holds."""
    found = []
    for name in names:
        path = _smaller(folder / f"{name}.svg", folder / f"{name}.png")
        if path is not None:
            message, note = _words(folder / f"{name}.txt", name)
            content = path.read_bytes()
            content = themed(content) if path.suffix == ".svg" else content
            found.append(Drawing(name=name, message=message, note=note, source=data_uri(content, path)))
    return tuple(found)


def themed(svg: bytes) -> bytes:
    """Return a drawing of ours whose ink and paper turn round where the reader's screen is dark; its colours stay."""
    head, tag, rest = svg.partition(b"<svg ")
    inside = rest.partition(b">")
    return head + tag + inside[0] + b">" + _DARK + inside[2]


def _words(path: Path, name: str) -> tuple[str, str]:
    """Return what the figure says of these data and the line below it; of older results, the question it answers."""
    if path.is_file():
        message, _, note = path.read_text("utf-8").strip().partition("\n")
        return message, note.strip()
    return name.replace("_", " ").capitalize() + ".", (import_module(f"repdiag.plots.{name}").__doc__ or "").partition(
        "\n"
    )[0]


def data_uri(content: bytes, path: Path) -> Markup:
    """Return an image as a data URI; as the source of an <img> an SVG can neither run scripts nor load anything."""
    kind = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}[path.suffix]
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}")


def _smaller(svg: Path, png: Path) -> Path | None:
    if svg.is_file() and (svg.stat().st_size <= _LARGEST_SVG or not png.is_file()):
        return svg
    return png if png.is_file() else None
