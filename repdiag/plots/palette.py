"""Colours, markers and lines: each checkpoint differs from the others in grey print too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

# Blue, vermillion and green are of Okabe & Ito (2008), the others found by search: any two of a list are at least 15
# apart (CIE 1976 Delta E) for normal sight, protanopia, deuteranopia and tritanopia, and each has a contrast of 3:1 on
# white and on the page's dark paper: tests/unit/plots/test_colours_told_apart.py holds them to it.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
GREY = "#7F7F7F"

CHECKPOINT_COLORS = (BLUE, VERMILLION, GREEN, "#7742ED", "#D1003C", "#EE45E1", "#6E5D82")
CLASS_COLORS = (
    *(BLUE, VERMILLION, "#10AB2F", "#7E32E5", "#C14084"),
    *("#0B96F6", "#426E40", "#FF0D68", "#7E94B7", "#FF00E2"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)), (0, (8, 2)))


@dataclass(frozen=True, kw_only=True)
class CheckpointStyle:
    """How one checkpoint looks in every figure; the untrained ones are hollow and grey."""

    color: str
    marker: str
    line: Any
    trained: bool = True

    @property
    def face(self) -> str:
        """Fill of the marker: white for an untrained checkpoint."""
        return self.color if self.trained else "white"


def checkpoint_styles(names: Sequence[str], *, untrained: Collection[str] = ()) -> dict[str, CheckpointStyle]:
    """Return one style per checkpoint, in the order given; colours repeat after seven, markers after twelve."""
    styles: dict[str, CheckpointStyle] = {}
    trained = hollow = 0
    for name in dict.fromkeys(names):
        if name in untrained:
            marker = MARKERS[hollow % len(MARKERS)]
            styles[name] = CheckpointStyle(color=GREY, marker=marker, line=(0, (2, 1.5)), trained=False)
            hollow += 1
        else:
            styles[name] = CheckpointStyle(
                color=CHECKPOINT_COLORS[trained % len(CHECKPOINT_COLORS)],
                marker=MARKERS[trained % len(MARKERS)],
                line=LINES[trained % len(LINES)],
            )
            trained += 1
    return styles


def class_colors(names: Sequence[str]) -> dict[str, str]:
    """Return one colour per class; they repeat after ten."""
    return {name: CLASS_COLORS[rank % len(CLASS_COLORS)] for rank, name in enumerate(dict.fromkeys(names))}
