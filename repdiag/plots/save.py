"""Writes a figure and the numbers behind it; the same input gives the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from repdiag.core.csv_text import csv_text
from repdiag.core.files import write_atomic, write_text
from repdiag.plots.style import repdiag_style
from repdiag.plots.text import caption_of, message_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# No dates and no versions: they would change the bytes of an unchanged figure.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


def save_figure(figure: Figure, frame: pd.DataFrame, folder: Path, *, name: str) -> tuple[Path, ...]:
    """Write NAME.png (200 dpi), .pdf, .svg, .csv and .txt into `folder`, each atomically; return the paths.

    The text is the message of the figure, if it has one, and on the lines below its caption.
    """
    with repdiag_style():
        _settle_layout(figure)
        with mpl.rc_context({"figure.constrained_layout.use": False}):
            figure.set_layout_engine(None)  # with any engine, even "none", each file is drawn twice
            paths = [_write_drawing(figure, folder / f"{name}.{kind}", kind) for kind in _METADATA]
    words = "\n".join([message_of(figure) or name.replace("_", " ").capitalize() + ".", caption_of(figure)])
    texts = {"csv": csv_text(frame), "txt": f"{words}\n"}
    return (*paths, *(write_text(folder / f"{name}.{kind}", text) for kind, text in texts.items()))


def _write_drawing(figure: Figure, path: Path, kind: str) -> Path:
    return write_atomic(path, lambda stream: figure.savefig(stream, format=kind, metadata=_METADATA[kind]))


def _settle_layout(figure: Figure) -> None:
    """Lay the figure out once, for all kinds of file, and round: the solver's last digits change between runs."""
    figure.draw_without_rendering()
    for axis in figure.axes:
        left, bottom, width, height = axis.get_position().bounds
        axis.set_position((round(left, 5), round(bottom, 5), round(width, 5), round(height, 5)))
