"""The figures of finished runs again, from the tables behind them: no GPU, no images, no encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repdiag.core.errors import unknown_name
from repdiag.core.metric_table import untrained_name
from repdiag.workflows.renaming import new_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.embeddings.projection_2d import Projection


def redraw(
    runs: Sequence[Path],
    *,
    out: Path | None = None,
    columns: Literal["one", "two"] = "two",
    method: Any = None,
    only: Sequence[str] = (),
    names: Sequence[str] = (),
) -> list[Path]:
    """Draw the figures of runs together, and return the files; the same bytes for the same tables.

    `columns` is the printed width, `method` makes the embedding map anew from stored embeddings, `only` names the
    figures to draw, `names` says what the trained encoders are called, in their order. Default for `out`: the figures
    of the first run.
    """
    from repdiag.plots.style import ONE_COLUMN, TWO_COLUMNS
    from repdiag.results.reading import results_in
    from repdiag.results.transaction import filed, recover
    from repdiag.workflows.figures import FOLDER, draw_frames, in_order

    folders = [results_in(run) for run in runs]
    for folder in folders:
        recover(folder)
    frames, table = stored_frames(folders)
    if method is not None:
        frames["embedding_map"] = in_order(maps_anew(folders, method), list(table.checkpoints()))
    if only:
        frames = {name: frames[name] for name in _known(only, frames)}
    called = _called(names, [*table.checkpoints("trained", "reference")] or _trainings(frames))
    frames = {name: frame.assign(checkpoint=frame["checkpoint"].replace(called)) for name, frame in frames.items()}
    untrained = tuple(called.get(name, name) for name in table.checkpoints("untrained"))
    width = ONE_COLUMN if columns == "one" else TWO_COLUMNS
    place = out or folders[0] / FOLDER
    with filed(place, run=folders[0], kind="figures") as fresh:
        drawn = draw_frames(frames, fresh, untrained=untrained, width=width)
    return [place / path.relative_to(fresh) for path in drawn]


def _known(only: Sequence[str], frames: dict[str, pd.DataFrame]) -> Sequence[str]:
    for name in only:
        if name not in frames:
            raise unknown_name("figure", name, list(frames))
    return only


def _called(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return what each checkpoint is called, untrained copies after their encoder."""
    pairs = new_names(known, names)
    return pairs | {untrained_name(old): untrained_name(new) for old, new in pairs.items()}


def _trainings(frames: dict[str, pd.DataFrame]) -> list[str]:
    return list(dict.fromkeys(str(name) for frame in frames.values() for name in frame.get("checkpoint", ())))


def stored_frames(runs: Sequence[Path]) -> tuple[dict[str, pd.DataFrame], MetricTable]:
    """Return the frames of all figures that the runs' tables allow, and the tables together."""
    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.results.frames.deployment import with_front
    from repdiag.results.frames.trajectory import training_frames
    from repdiag.results.reading import read_frame, read_run
    from repdiag.workflows.figures import FOLDER, STORED_FIGURES, in_order, table_frames

    trainings = {run: record for run in runs if (record := _training_record(run)) is not None}
    table = MetricTable.concat(read_run(run).table for run in runs if run not in trainings)
    frames = {**table_frames(table), "scatter_against_accuracy": _against_accuracy(table)} if len(table) else {}
    parts: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        if run in trainings:
            dataset = str(trainings[run]["config"]["data"]["dataset"])
            own = training_frames(run, name=run.resolve().name, dataset=dataset)
        else:
            stored = {name: path for name in STORED_FIGURES if (path := run / FOLDER / f"{name}.csv").is_file()}
            own = {name: read_frame(path) for name, path in stored.items()}
        for name, frame in own.items():
            parts.setdefault(name, []).append(frame)
    frames |= {name: pd.concat(parts[name], ignore_index=True) for name in STORED_FIGURES if name in parts}
    if "deployment_tradeoff" in frames:
        frames["deployment_tradeoff"] = with_front(frames["deployment_tradeoff"])
    names = [*table.checkpoints(), *(run.resolve().name for run in trainings)]
    return {name: in_order(frame, names) for name, frame in frames.items()}, table


def _training_record(run: Path) -> dict[str, Any] | None:
    """Return run.json of a training that has not been analyzed; None for anything else."""
    from repdiag.results.reading import TABLE, read_record

    if (run / TABLE).is_file() or not (run / "run.json").is_file():
        return None
    record = read_record(run)
    return record if record.get("kind") == "train" else None


def maps_anew(runs: Sequence[Path], method: Projection) -> pd.DataFrame:
    """Return the map of every checkpoint of the runs by another method."""
    import pandas as pd

    from repdiag.core.errors import StoreError
    from repdiag.results.reading import read_run
    from repdiag.workflows.vector_frames import embedding_map

    found = []
    for stored in map(read_run, runs):
        for name in stored.parts:
            val = stored.embeddings(name).get("val")
            if val is None:
                raise StoreError(f"{stored.folder} holds no embeddings of {name} on val", hint="leave --map out")
            if val.labels is None:
                raise StoreError(f"the rows of {name} have no labels to colour a map by", hint="leave --map out")
            found.append(embedding_map(name, val, method=method))
    return pd.concat(found, ignore_index=True)


def _against_accuracy(table: MetricTable) -> pd.DataFrame:
    """Return metrics against kNN accuracy over the trained checkpoints; empty where they are too few for a rank."""
    from repdiag.metrics.inference.rank_correlation import FEWEST, rank_correlation
    from repdiag.results.frames.table_frames import scatter_against_accuracy

    kept = type(table)(tuple(row for row in table if row.role != "untrained"))
    frame = scatter_against_accuracy(kept)
    known = frame.dropna(subset=["value", "accuracy"])
    if known["checkpoint"].nunique() < FEWEST:
        return frame.iloc[:0]
    correlations: dict[str, Any] = {
        str(metric): found
        for metric, rows in known.groupby("metric", sort=False)
        if (found := rank_correlation(rows["value"].tolist(), rows["accuracy"].tolist())) is not None
    }
    return scatter_against_accuracy(kept, correlations=correlations)
