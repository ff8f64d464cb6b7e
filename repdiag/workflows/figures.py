"""Draws the figures of a run: frames from tables and vectors go to `plots`, which draw and save them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.metric_table import untrained_name
from repdiag.core.progress import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.workflows.analysis import Analysis

FOLDER = "figures"
# Their frames need vectors or the files of a training: drawn again from the CSV behind them.
STORED_FIGURES = (
    *("split_classes", "class_distance_distributions", "cluster_class_confusion", "singular_spectrum", "embedding_map"),
    *("training_history", "training_trajectory", "deployment_tradeoff"),
)


def draw_analysis(analysis: Analysis, out: Path) -> list[Path]:
    """Draw every figure of one analysis into out/figures, those of the encoder's training too where it is known."""
    from repdiag.results.frames.trajectory import training_frames
    from repdiag.workflows import vector_frames

    name, val = analysis.name, analysis.embeddings["val"]
    sets = {name: val}
    if analysis.untrained is not None:
        sets[untrained_name(name)] = analysis.untrained
    frames = table_frames(analysis.table)
    of_vectors: dict[str, Callable[[], pd.DataFrame]] = {
        "split_classes": lambda: vector_frames.split_classes(name, analysis.embeddings, analysis.table),
        "class_distance_distributions": lambda: vector_frames.class_distances(sets),
        "cluster_class_confusion": lambda: vector_frames.cluster_classes({name: val}),
        "singular_spectrum": lambda: vector_frames.spectra(sets, analysis.table),
        "embedding_map": lambda: vector_frames.embedding_map(name, val),
    }
    for figure in counted("frames of the figures", list(of_vectors)):
        frames[figure] = of_vectors[figure]()
    if analysis.training is not None and analysis.info is not None:
        dataset = str(analysis.info.training.get("data", ""))
        frames |= training_frames(analysis.training, name=name, dataset=dataset)
    return draw_frames(frames, out / FOLDER, untrained=analysis.table.checkpoints("untrained"))


def draw_comparison(
    table: MetricTable, parts: Mapping[str, Path], out: Path, *, deployment: pd.DataFrame | None = None
) -> list[Path]:
    """Draw the joined figures of all checkpoints into out/figures, from the stored tables of their analyses alone.

    `deployment` has what each encoder costs, where that was measured of several.
    """
    import pandas as pd

    from repdiag.results.frames.deployment import deployment_tradeoff
    from repdiag.results.reading import read_frame

    frames = table_frames(table)
    for name in STORED_FIGURES:
        kept = sorted(part / FOLDER / f"{name}.csv" for part in parts.values())
        stored = [path for path in kept if path.is_file()]
        if stored:
            frames[name] = pd.concat([read_frame(path) for path in stored], ignore_index=True)
    if deployment is not None and len(deployment) > 1:
        frames["deployment_tradeoff"] = deployment_tradeoff(deployment)
    frames = {name: in_order(frame, table.checkpoints()) for name, frame in frames.items()}
    return draw_frames(frames, out / FOLDER, untrained=table.checkpoints("untrained"))


def in_order(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the rows in the checkpoints' order, so that each has one colour in all figures of a run."""
    if frame.empty:
        return frame
    place = {name: at for at, name in enumerate(names)}
    order = frame["checkpoint"].astype(str).map(place).fillna(len(place)).to_numpy()
    return frame.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def table_frames(table: MetricTable) -> dict[str, pd.DataFrame]:
    """Return the frames of the figures that need nothing but a table of metrics."""
    from repdiag.results.frames import table_frames as frames

    return {
        "instance_discrimination_bars": frames.instance_discrimination_bars(table),
        "alignment_uniformity_plane": frames.alignment_uniformity_plane(table),
        "over_cluster_curve": frames.over_cluster_curve(table),
        "checkpoint_comparison": frames.checkpoint_comparison(table),
    }


def draw_frames(
    frames: dict[str, pd.DataFrame], folder: Path, *, untrained: tuple[str, ...], width: float | None = None
) -> list[Path]:
    """Draw every frame that has something to show; `width` in inches, None for two columns of a paper."""
    import inspect
    from importlib import import_module

    from repdiag.plots.message import message
    from repdiag.plots.save import save_figure
    from repdiag.plots.text import add_message

    drawn: list[Path] = []
    for name, frame in counted("figures", list(frames.items())):
        if not _shows_anything(frame):
            continue
        plot: Callable[..., Any] = getattr(import_module(f"repdiag.plots.{name}"), name)
        takes = inspect.signature(plot).parameters
        settings: dict[str, Any] = {"untrained": untrained} if "untrained" in takes else {}
        if width is not None:
            settings["width"] = width
        figure = plot(frame, **settings)
        add_message(figure, message(name, frame, untrained=untrained))
        drawn.extend(save_figure(figure, frame, folder, name=name))
    return drawn


# What a figure draws, where that may be missing.
_DRAWN = ("value", "alignment", "uniformity")


def _shows_anything(frame: pd.DataFrame) -> bool:
    """Say whether a frame has a row with all that is drawn; axes around nothing but missing values say nothing."""
    drawn = [name for name in _DRAWN if name in frame]
    return not frame.empty and (not drawn or bool(frame[drawn].notna().all(axis=1).any()))
