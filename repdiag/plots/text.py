"""Words of figures: names that fit and can be printed, direct labels, the message on top, the caption beside."""

from __future__ import annotations

import functools
import math
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import Container
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, BboxBase

from repdiag.plots.frame_check import distinct

if TYPE_CHECKING:
    import pandas as pd

_POINTS_PER_INCH = 72.0
_MESSAGE_SIZE = 8.0
# Mean width of a character, as a share of the font's size; measured on DejaVu Sans.
_CHARACTER_WIDTH = 0.55
_CAPTIONS: WeakKeyDictionary[Figure, str] = WeakKeyDictionary()
_MESSAGES: WeakKeyDictionary[Figure, str] = WeakKeyDictionary()
_LEGEND_ROOM: WeakKeyDictionary[Figure, float] = WeakKeyDictionary()
_MORE = "\N{HORIZONTAL ELLIPSIS}"
_LEAST = 8  # characters of a name that a mark behind it must leave
# Where a direct label may stand around its point: distance in points, angle in degrees.
_PLACES = tuple(
    (radius, angle) for radius in (6.0, 14.0, 24.0, 36.0, 50.0) for angle in np.arange(0.0, 360.0, 30.0).tolist()
)


def printable(text: str) -> str:
    """Return `text` with control and direction marks dropped and characters that the font lacks shown as boxes."""
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return "".join(c if ord(c) in _font_characters() else "\N{WHITE SQUARE}" for c in kept)


def short_names(names: Sequence[str], *, limit: int) -> dict[str, str]:
    """Return a printable form of at most `limit` characters for every name, all of them different.

    Where one is too long, what all of them begin with is left out, then the end of each; a mark in parentheses at the
    end stays, so that "a (untrained)" is known as the copy of "a". Without a common beginning the middle is left out:
    the ends tell checkpoints apart most often. Names that still coincide get a number.
    """
    full = {name: printable(name) for name in dict.fromkeys(names)}
    if all(len(text) <= limit for text in full.values()):
        return _numbered(full, limit=limit)
    parts = {name: _without_mark(text, limit=limit) for name, text in full.items()}
    lead = _common_lead([base for base, _ in parts.values()])
    brief = {name: (_MORE + base[lead:] if lead else base, mark) for name, (base, mark) in parts.items()}
    cuts = (_without_end, _without_middle) if lead else (_without_middle, _without_end)
    tries = [{name: cut(base, limit - len(mark)) + mark for name, (base, mark) in brief.items()} for cut in cuts]
    distinct_ones = [shown for shown in tries if len(set(shown.values())) == len(shown)]
    return _numbered((distinct_ones or tries)[0], limit=limit)


def _without_mark(text: str, *, limit: int) -> tuple[str, str]:
    """Split "name (mark)" into both, where the mark leaves enough of the limit to the name."""
    start = text.rfind(" (")
    if start <= 0 or not text.endswith(")") or limit - (len(text) - start) < _LEAST:
        return text, ""
    return text[:start], text[start:]


def _common_lead(bases: Sequence[str]) -> int:
    """Return how many characters all of several different names begin with, up to the last separator among them."""
    if len(set(bases)) < 2:
        return 0
    first, last = min(bases), max(bases)  # what these two share all share
    same = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    lead = 1 + max(first.rfind(separator, 0, same) for separator in "-_./: ")
    return lead if lead >= 3 and all(len(base) > lead for base in bases) else 0


def _without_middle(text: str, limit: int) -> str:
    head = (limit - 1) * 2 // 5
    return text if len(text) <= limit else f"{text[:head]}{_MORE}{text[len(text) - (limit - 1 - head) :]}"


def _without_end(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip("-_./: ") + _MORE


def _numbered(texts: Mapping[str, str], *, limit: int) -> dict[str, str]:
    """Return the texts with a number behind each that is there already."""
    shown: dict[str, str] = {}
    for name, base in texts.items():
        taken, number, text = set(shown.values()), 2, base
        while text in taken:
            mark = f" ({number})"
            text, number = base[: limit - len(mark)] + mark, number + 1
        shown[name] = text
    return shown


def source_of(frame: pd.DataFrame) -> str:
    """Return what the numbers were computed on: dataset, split, space and n, as far as the frame has them."""
    parts = [", ".join(map(printable, distinct(frame, "dataset")))] if "dataset" in frame else []
    told = [distinct(frame, column) for column in ("split", "space") if column in frame]
    parts += [values[0] for values in told if len(values) == 1]
    if "n" in frame and frame["n"].notna().any():
        counts = frame["n"].dropna().astype(int)
        low, high = int(counts.min()), int(counts.max())
        parts.append(f"n = {low:,}" if low == high else f"n = {low:,} to {high:,}")
    return ", ".join(parts)


def add_caption(figure: Figure, *parts: str) -> None:
    """Keep the caption with the figure; `save_figure` writes it beside the drawing, where a paper sets it itself."""
    _CAPTIONS[figure] = ". ".join(part for part in parts if part) + "."


def caption_of(figure: Figure) -> str:
    """Return what `add_caption` kept."""
    return _CAPTIONS.get(figure, "")


def message_of(figure: Figure) -> str:
    """Return what `add_message` wrote on top."""
    return _MESSAGES.get(figure, "")


def add_message(figure: Figure, message: str) -> None:
    """Write what the figure shows along the top edge and make the figure taller by what it needs; nothing if empty."""
    if not message:
        return
    _MESSAGES[figure] = message
    width, height = (float(side) for side in figure.get_size_inches())
    beside = 1.2 if figure.legends and figure not in _LEGEND_ROOM else 0.0  # a legend on the right
    per_line = int((width - beside) * _POINTS_PER_INCH / (_MESSAGE_SIZE * _CHARACTER_WIDTH * 1.1))
    text = textwrap.fill(printable(message), per_line)
    room = (text.count("\n") + 1) * _MESSAGE_SIZE * 1.3 / _POINTS_PER_INCH + 0.06
    figure.set_size_inches(width, height + room)
    title = figure.text(0.01, 1.0 - 0.03 / (height + room), text, size=_MESSAGE_SIZE, weight="bold", va="top")
    title.set_in_layout(False)
    title.set_gid("message")
    # A legend that is told its place gets no room from the layout any more: it is kept here.
    below = _LEGEND_ROOM.get(figure, 0.0)
    top = 1 - room / (height + room)
    if below:
        for legend in figure.legends:
            legend.set_bbox_to_anchor((0, 0, 1, top), transform=figure.transFigure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 0, 1, top - below / (height + room)))  # type: ignore[call-arg]


def add_legend(figure: Figure, handles: Sequence[Artist | Container], *, columns: int) -> None:
    """Put one legend for all panels above them and make the figure taller by what it needs; none without handles."""
    if not handles:
        return
    width, height = figure.get_size_inches()
    rows = -(-len(handles) // columns)
    columns = -(-len(handles) // rows)  # filled column by column: even ones keep a checkpoint above its untrained copy
    _LEGEND_ROOM[figure] = 0.1 + 0.13 * rows
    figure.set_size_inches(width, height + _LEGEND_ROOM[figure])
    figure.legend(handles=list(handles), loc="outside upper left", ncols=columns)


def missing_note(frame: pd.DataFrame, value: str, *, by: Sequence[str] = ("checkpoint",), limit: int = 24) -> str:
    """Name the rows without a value, with the reasons that the frame gives; empty when there are none."""
    absent = frame[frame[value].isna()]
    if absent.empty:
        return ""
    keys = [tuple(str(part) for part in key) for key in absent[list(by)].itertuples(index=False)]
    shown = [short_names(distinct(frame, column), limit=limit) for column in by]
    seen = list(dict.fromkeys(" ".join(names[part] for names, part in zip(shown, key, strict=True)) for key in keys))
    more = f" and {len(seen) - 4} more" if len(seen) > 4 else ""
    reasons = distinct(absent.dropna(subset=["reason"]), "reason") if "reason" in absent else []
    why = f" ({printable('; '.join(reasons[:2]))})" if reasons else ""
    return f"No value: {', '.join(seen[:4])}{more}{why}"


def label_points(
    axes: Axes, points: Sequence[tuple[float, float, str, str]], *, others: Sequence[tuple[float, float]] = ()
) -> None:
    """Write each (x, y, text, colour) where it covers least, with a line to its point when that is further off.

    `others` are points without a label that must stay visible.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # the layout must be final before anything is measured
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = axes.get_window_extent(renderer)
    taken = [_dot_box(axes, x, y) for x, y in (*((x, y) for x, y, _, _ in points), *others)]
    for x, y, text, color in points:
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", size=6, color=color, va="center")
        label.set_in_layout(False)
        costs = []
        for radius, angle in _PLACES:
            box = _place(label, radius, angle).get_window_extent(renderer)
            outside = box.width * box.height - _overlap(box, frame)
            hidden = sum(_overlap(box, other) for other in taken)
            costs.append((3 * hidden + 4 * outside + 6 * radius, radius, angle))
        _, radius, angle = min(costs)
        taken.append(_place(label, radius, angle).get_window_extent(renderer))
        if radius > _PLACES[0][0]:
            _leader(axes, label)


def _place(label: Annotation, radius: float, angle: float) -> Annotation:
    """Move a label to a place around its point, in points and degrees."""
    across, up = radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle))
    label.set_position((across, up))
    label.set_horizontalalignment("center" if abs(across) < 0.5 * radius else "left" if across > 0 else "right")
    return label


def _leader(axes: Axes, label: Annotation) -> None:
    axes.annotate(
        "",
        label.xy,
        label.get_position(),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#888888", "shrinkA": 0, "shrinkB": 2},
        zorder=2,
    ).set_in_layout(False)


def _dot_box(axes: Axes, x: float, y: float) -> Bbox:
    across, up = axes.transData.transform((x, y))
    return Bbox.from_bounds(across - 5, up - 5, 10, 10)


def _overlap(first: BboxBase, second: BboxBase) -> float:
    common = Bbox.intersection(first, second)
    return 0.0 if common is None else float(common.width * common.height)


@functools.lru_cache(maxsize=1)
def _font_characters() -> frozenset[int]:
    """Code points of DejaVu Sans, which matplotlib brings along."""
    path = findfont("DejaVu Sans", directory=f"{mpl.get_data_path()}/fonts/ttf", fallback_to_default=True)
    return frozenset(get_font(path).get_charmap())
