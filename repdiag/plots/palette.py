"""Colours, markers and lines: each checkpoint differs from the others in grey print too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

# Okabe & Ito 2008, distinguishable with every common colour vision; the yellow is kept for large areas only.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, YELLOW = "#56B4E9", "#CC79A7", "#000000", "#F0E442"
GREY = "#7F7F7F"

CHECKPOINT_COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
# The last two are from Tol's muted scheme: Okabe-Ito ends at eight and many datasets have ten classes.
CLASS_COLORS = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, BLACK, YELLOW, "#882255", "#999933")
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
