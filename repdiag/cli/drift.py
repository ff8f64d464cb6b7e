"""`repdiag drift OLD NEW`: is it still the same encoder?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.reading import (
    IMAGES,
    MACHINE,
    NOTHING_TOLD,
    READING,
    SPEAKING,
    Typed,
    analysis_options_of,
    console_of,
    takes,
)

_HELP = (
    "OLD and NEW may each be a checkpoint, a run directory, a manifest's name, or vectors (a canary file, .npz, ...)."
)


@takes(told=READING, images=IMAGES, machine=MACHINE, speaking=SPEAKING)
def drift(
    old: Annotated[str, typer.Argument(help="The old encoder. " + _HELP)],
    new: Annotated[str | None, typer.Argument(help="The new encoder.")] = None,
    images: Typed = NOTHING_TOLD,
    told: Typed = NOTHING_TOLD,
    labels: Annotated[Path | None, typer.Option("--labels", help="Class labels of vectors, for both.")] = None,
    out: options.Out = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            help="Exit 3 if one of these holds: neighbors_kept<0.95, cross_gallery<0.9, ..., re-index, "
            "other-neighbours, changed.",
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write the gates as JUnit XML.")] = None,
    canary: Annotated[
        Path | None,
        typer.Option("--save-canary", help="Save the vectors of OLD in this .npz, for later comparisons."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Your cosine threshold for two rows to match.")
    ] = None,
    per_class: options.PerClass = 100,
    seed: options.Seed = 0,
    machine: Typed = NOTHING_TOLD,
    overwrite: options.Overwrite = False,
    speaking: Typed = NOTHING_TOLD,
) -> None:
    """Compare an exported, quantised or retrained encoder with the one it replaces, row by row on the same images.

    Tells whether nearest neighbours, stored galleries, classes and thresholds still hold. Vectors of the same rows work
    too (joined by row names), also on one side only: with --save-canary you do not need the old model.
    """
    from repdiag.cli.gates import end_with
    from repdiag.core.errors import UsageError
    from repdiag.core.files import write_text
    from repdiag.workflows.drift import drift_of_sets, read_pair
    from repdiag.workflows.drift_gates import check_drift_gates, parse_drift_gates
    from repdiag.workflows.drift_gates import junit as junit_text
    from repdiag.workflows.drift_layers import with_layers
    from repdiag.workflows.drift_result import KIND, save_canary
    from repdiag.workflows.loaded_pair import loaded

    if new is None and canary is None:
        raise UsageError("drift needs two encoders", found=old, hint="give the new one, or --save-canary")
    gates = parse_drift_gates(fail_on)
    if out is not None:
        from repdiag.results.transaction import check_place

        check_place(out, overwrite=overwrite, again=KIND)
    console = console_of(speaking)
    chosen = analysis_options_of({**images, **machine}, told, per_class=per_class, seed=seed)
    sources = loaded({"old": old} if new is None else {"old": old, "new": new}, chosen)
    sets, notes = read_pair(sources, chosen, labels=labels, counting=console.counting)
    if canary is not None:
        first = next(iter(sets.values()))
        save_canary(first, canary)
        console.say(f"{len(first)} rows of {next(iter(sets))} in {canary}")
    if new is None:
        console.json({"canary": str(canary), "rows": len(first), "notes": list(notes)})
        return
    found = drift_of_sets(sets, threshold=threshold, seed=seed, notes=notes, options={"data": images["data"]})
    found = with_layers(found, sources, chosen)
    for line in found.lines():
        console.say(line)
    results = check_drift_gates(gates, found)
    if out is not None:
        found.save(out, overwrite=overwrite)
        console.say_place(out, told=True)
    if junit is not None:
        write_text(junit, junit_text(found, results))
    console.json(found.to_dict())
    end_with(results)
