"""`repdiag train`: from images to a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import resolve_device
from repdiag.cli.reading import IMAGES, NOTHING_TOLD, SPEAKING, Typed, console_of, takes
from repdiag.core.distributed.first_process import is_first_process


@takes(images=IMAGES, speaking=SPEAKING)
def train(
    recipe: Annotated[str | None, typer.Option("--recipe", help="A recipe's name or a YAML file; see --list.")] = None,
    images: Typed = NOTHING_TOLD,
    backbone: Annotated[str | None, typer.Option("--backbone", help="A backbone's name, or file.py:function.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=2, help="Images per step.")] = None,
    out: options.Out = None,
    device: options.Device = "auto",
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of weights, order and views.")] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", help="auto: continue where --out stopped; or the path of a checkpoint.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override one setting: KEY=VALUE. May be repeated.")
    ] = None,
    init_from: Annotated[
        str | None, typer.Option("--init-from", help="Start from the matching weights of a checkpoint.")
    ] = None,
    monitor: Annotated[
        int | None, typer.Option("--monitor", min=1, help="Evaluate the representation every N epochs.")
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events.")] = False,
    overwrite: options.Overwrite = False,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes and stop.")] = False,
    show: Annotated[str | None, typer.Option("--show", help="Print a recipe and stop.")] = None,
    speaking: Typed = NOTHING_TOLD,
) -> None:
    """Train an encoder. Without arguments: a ResNet-20 with MoCo v2 on the bundled digits.

    Writes run.json, history.csv and checkpoints/ to --out (default: runs/RECIPE-BACKBONE-DATA-NUMBER).
    """
    from repdiag.cli import recipes

    first = is_first_process()
    console = console_of(speaking, speaks=first)
    if list_recipes or show is not None:
        recipes.print_recipes(console, show)
        return
    from repdiag.workflows.train import TrainRequest, run_training

    request = TrainRequest(
        recipe=recipe,
        **images,
        backbone=backbone,
        epochs=epochs,
        batch_size=batch_size,
        out=out,
        device=resolve_device(device),
        seed=seed,
        resume=resume,
        overrides=tuple(settings or ()),
        init_from=init_from,
        monitor=monitor,
        tensorboard=tensorboard,
        overwrite=overwrite,
    )
    last = run_training(request, console)
    console.say(f"checkpoint: {last}")
    console.say_place(last.parent.parent, told=out is not None)
    console.say(f"next:    repdiag analyze {last}")
    console.json({"checkpoint": str(last), "run": str(last.parent.parent)})
