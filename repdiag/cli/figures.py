"""`repdiag figures RUN ...`: the figures of finished runs again, from the tables behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from repdiag.cli import options
from repdiag.cli.console import Console

Columns = Annotated[
    Literal["one", "two"], typer.Option("--columns", help="Width: one column of a paper (3.3 in), or two.")
]

Map = Annotated[
    Literal["umap", "tsne", "pca"] | None,
    typer.Option("--map", help="Redraw the embedding map from the stored embeddings with this method."),
]


def figures(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished analyses, comparisons or training runs.")],
    out: options.Out = None,
    columns: Columns = "two",
    map_method: Map = None,
    only: Annotated[str | None, typer.Option("--only", help="Draw only these figures, comma-separated.")] = None,
    names: options.Names = None,
    as_json: options.Json = False,
) -> None:
    """Draw figures from stored tables: no GPU, no images, no encoder. The same tables give the same bytes.

    Several runs share their figures. For a training run without an analysis: its history and, with --monitor, the
    course of its metrics. With five or more trained checkpoints, also metrics against accuracy, with
    rank correlations. Writes PNG, PDF, SVG, the CSV behind each and its caption as text to --out (default: figures/ in
    the first run).
    """
    from repdiag.workflows.redraw import redraw

    console = Console(as_json=as_json)
    chosen = {"only": options.listed(only), "names": options.listed(names)}
    drawn = redraw(runs, out=out, columns=columns, method=map_method, **chosen)
    if drawn:
        count = len({path.stem for path in drawn})
        console.say_place(drawn[0].parent, told=out is not None, more=f"{count} figures")
    else:
        console.say("figures: none, because these results contain nothing to draw")
    console.json({"figures": [str(path) for path in drawn]})
