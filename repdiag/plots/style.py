"""The look that every figure shares: style sheet, printed widths, empty figures of a given number of panels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ONE_COLUMN = 3.3
TWO_COLUMNS = 6.9
TALLEST = 3.3  # panels of a narrow figure together, in inches
STYLE_SHEET = Path(__file__).with_name("repdiag.mplstyle")

_P = ParamSpec("_P")
_R = TypeVar("_R")


@contextmanager
def repdiag_style() -> Iterator[None]:
    """Draw with our style sheet on matplotlib's own defaults, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_style_sheet())
        yield


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a drawing function inside `repdiag_style`."""

    @functools.wraps(draw)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with repdiag_style():
            return draw(*args, **kwargs)

    return inside


def panels(count: int, *, width: float, panel_height: float, columns: int | None = None) -> tuple[Figure, list[Axes]]:
    """Return a figure `width` inches wide with `count` axes in reading order, and no empty ones.

    One of a paper's columns has at most two panels side by side, and with its legend and title no more than 4.5 inches.
    """
    narrow = width < (ONE_COLUMN + TWO_COLUMNS) / 2
    columns = min(count, columns or max(1, round(width / 1.8)))
    rows = math.ceil(count / columns)
    height = rows * panel_height
    figure = Figure(figsize=(width, min(height, TALLEST) if narrow else height))
    FigureCanvasAgg(figure)  # measures text without a screen and without pyplot's global state
    axes = [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
    return figure, axes


@functools.lru_cache(maxsize=1)
def _style_sheet() -> mpl.RcParams:
    return mpl.rc_params_from_file(STYLE_SHEET, use_default_template=False)
