"""What every figure promises: drawn for few and many, honest about gaps, legible, and the same bytes every time."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from figure_tables import BUILDERS, NAMES, UNTRAINED
from matplotlib.figure import Figure
from matplotlib.text import Text

from repdiag.core.errors import MetricError
from repdiag.plots.message import message
from repdiag.plots.save import save_figure
from repdiag.plots.style import ONE_COLUMN, TWO_COLUMNS, repdiag_style
from repdiag.plots.text import add_message, caption_of, message_of

# The column whose nulls the figure must report.
VALUES = {
    "training_history": "contrast_accuracy",
    "instance_discrimination_bars": "value",
    "alignment_uniformity_plane": "uniformity",
    "class_distance_distributions": "density",
    "split_classes": "density",
    "over_cluster_curve": "value",
    "embedding_map": "x",
    "singular_spectrum": "singular_value",
    "checkpoint_comparison": "value",
    "scatter_against_accuracy": "value",
    "setting_curves": "value",
    "training_trajectory": "value",
    "deployment_tradeoff": "value",
}
HOSTILE = ("$\\frac{1", "a\nb\x00", "<script>alert(1)</script>", "\N{RIGHT-TO-LEFT OVERRIDE}evil", "\U0001f980" * 80)


def draw(name: str, frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    function: Callable[..., Figure] = getattr(importlib.import_module(f"repdiag.plots.{name}"), name)
    takes = inspect.signature(function).parameters
    return function(frame, width=width, **({"untrained": UNTRAINED} if "untrained" in takes else {}))


def words(figure: Figure) -> str:
    """Everything that is written in the figure or stands beside it as its caption."""
    inside = " ".join(text.get_text() for text in figure.findobj(Text))
    return " ".join(f"{inside} {caption_of(figure)}".split())


@pytest.mark.parametrize("count", [1, 3, 12])
def test_few_and_many_checkpoints_are_all_named_with_their_source(figure_name: str, count: int) -> None:
    frame = BUILDERS[figure_name](NAMES[:count], classes=10)
    shown = words(draw(figure_name, frame))
    assert frame["dataset"].iloc[0] in shown
    assert f"n = {frame['n'].iloc[0]:,}" in shown
    if figure_name != "class_distance_distributions" or count > 1:
        assert "resnet20" in shown


@pytest.mark.parametrize("classes", [2, 100])
@pytest.mark.parametrize("figure_name", ["cluster_class_confusion", "embedding_map", "over_cluster_curve"])
def test_two_and_a_hundred_classes(figure_name: str, classes: int) -> None:
    shown = words(draw(figure_name, BUILDERS[figure_name](NAMES[:2], classes=classes)))
    assert ("colours repeat" in shown) == (figure_name == "embedding_map" and classes == 100)


def test_a_map_says_how_it_was_made() -> None:
    frame = BUILDERS["embedding_map"](NAMES[:1], classes=3)
    assert "UMAP: distances" in words(draw("embedding_map", frame))
    shown = words(draw("embedding_map", frame.assign(method="t-SNE")))
    assert "t-SNE: distances" in shown
    assert "UMAP" not in shown


def test_one_column_fits_a_paper_and_the_title_says_what_is_shown(figure_name: str) -> None:
    frame = BUILDERS[figure_name](NAMES[:4], classes=10)
    figure = draw(figure_name, frame, width=ONE_COLUMN)
    add_message(figure, message(figure_name, frame, untrained=UNTRAINED))
    width, height = figure.get_size_inches()
    assert width == pytest.approx(3.3)
    assert height <= 4.5
    assert message_of(figure) or figure_name in {"deployment_tradeoff", "layer_noise"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("split_classes", "Classes in separate groups: class 0 (2), class 1 (3)"),
        ("instance_discrimination_bars", "Train minus val, in points: +4.0 [+1.2, +6.9]"),
    ],
)
def test_a_message_holds_the_numbers_of_its_table(name: str, said: str) -> None:
    assert message(name, BUILDERS[name](NAMES[:1], classes=4)) == said


@pytest.mark.parametrize(("count", "width"), [(4, ONE_COLUMN), (12, TWO_COLUMNS)])
def test_no_text_is_cut_at_the_edge(figure_name: str, count: int, width: float) -> None:
    figure = draw(figure_name, BUILDERS[figure_name](NAMES[:count], classes=10), width=width)
    with repdiag_style():
        figure.draw_without_rendering()
    beyond = beyond_the_axis(figure)
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and text not in beyond:
            box = text.get_window_extent()
            assert box.x0 > -2, text.get_text()
            assert box.x1 < figure.bbox.width + 2, text.get_text()
            assert box.y0 > -2, text.get_text()
            assert box.y1 < figure.bbox.height + 2, text.get_text()


def beyond_the_axis(figure: Figure) -> set[Text]:
    """Labels of ticks outside the limits: they exist but are not drawn."""
    found = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    found |= {tick.label1, tick.label2}
    return found


@pytest.mark.parametrize("figure_name", sorted(VALUES))
def test_a_missing_value_is_said_not_drawn(figure_name: str) -> None:
    frame = BUILDERS[figure_name](NAMES[:3], classes=10)
    frame.loc[frame["checkpoint"] == "resnet56", VALUES[figure_name]] = np.nan
    if figure_name == "training_history":
        frame[VALUES[figure_name]] = np.nan
        assert "Not recorded: contrast accuracy" in words(draw(figure_name, frame))
    else:
        assert "No value: resnet56" in words(draw(figure_name, frame))


def test_names_from_outside_are_drawn_as_plain_text(figure_name: str) -> None:
    frame = BUILDERS[figure_name](NAMES[:5], classes=5)
    frame["checkpoint"] = frame["checkpoint"].map(dict(zip(NAMES[:5], HOSTILE, strict=True)))
    figure = draw(figure_name, frame)
    with repdiag_style():
        figure.draw_without_rendering()  # a missing glyph or an attempt at mathtext would warn or raise
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in words(figure)


def test_the_wrong_table_is_refused_by_name(figure_name: str) -> None:
    frame = BUILDERS[figure_name](NAMES[:1], classes=3)
    with pytest.raises(MetricError, match=f"table of {figure_name} lacks columns: checkpoint"):
        draw(figure_name, frame.drop(columns="checkpoint"))
    with pytest.raises(MetricError, match="has no rows"):
        draw(figure_name, frame.iloc[:0])


def test_the_docstring_defines_every_column(figure_name: str) -> None:
    module = importlib.import_module(f"repdiag.plots.{figure_name}")
    documented = (getattr(module, figure_name).__doc__ or "").partition("Columns:")[2]
    assert [name for name in module.COLUMNS if name not in documented] == []


@pytest.mark.slow
def test_the_same_table_gives_the_same_bytes(figure_name: str, tmp_path: Path) -> None:
    frame = BUILDERS[figure_name](NAMES[:2], classes=4)
    before = dict(mpl.rcParams)
    runs = [save_figure(draw(figure_name, frame), frame, tmp_path / run, name=figure_name) for run in "ab"]
    assert [path.suffix for path in runs[0]] == [".png", ".pdf", ".svg", ".csv", ".txt"]
    for first, second in zip(*runs, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.suffix
    pd.testing.assert_frame_equal(pd.read_csv(runs[0][3]), frame, check_dtype=False, rtol=1e-12)
    assert dict(mpl.rcParams) == before


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    frame = BUILDERS["checkpoint_comparison"](NAMES[:2], classes=4)
    here = save_figure(draw("checkpoint_comparison", frame), frame, tmp_path / "here", name="figure")
    program = (
        "import sys; from pathlib import Path; from figure_tables import BUILDERS, NAMES\n"
        "from repdiag.plots.checkpoint_comparison import checkpoint_comparison\n"
        "from repdiag.plots.save import save_figure\n"
        "frame = BUILDERS['checkpoint_comparison'](NAMES[:2], classes=4)\n"
        f"figure = checkpoint_comparison(frame, untrained={UNTRAINED!r})\n"
        "save_figure(figure, frame, Path(sys.argv[1]), name='figure')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", program, tmp_path / "there"], check=True, env=environment)
    for path in here:
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes(), path.suffix


def test_a_user_style_changes_nothing(tmp_path: Path) -> None:
    frame = BUILDERS["training_history"](NAMES[:2], classes=2)
    plain = save_figure(draw("training_history", frame), frame, tmp_path / "plain", name="figure")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.hashsalt": "other"}):
        styled = save_figure(draw("training_history", frame), frame, tmp_path / "styled", name="figure")
    assert plain[2].read_bytes() == styled[2].read_bytes()
