"""`repdiag probe CHECKPOINT...`: encoders tried out by a published protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console
from repdiag.cli.reading import IMAGES, MACHINE, NOTHING_TOLD, READING, SPEAKING, Typed, console_of, machine_of, takes
from repdiag.workflows.typed_options import read_options_of

if TYPE_CHECKING:
    from repdiag.workflows.probed import Probed

Name = Annotated[str, typer.Option("--protocol", help="Comma-separated names of protocols; --list shows them.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change a setting: NAME=VALUE. May be repeated.")]


@takes(told=READING, images=IMAGES, machine=MACHINE, speaking=SPEAKING)
def probe(
    checkpoints: Annotated[
        list[str] | None, typer.Argument(help="Checkpoint files, run directories, or names in the manifest.")
    ] = None,
    images: Typed = NOTHING_TOLD,
    protocol: Name = "linear",
    changes: Set = None,
    told: Typed = NOTHING_TOLD,
    untrained: Annotated[bool, typer.Option("--untrained", help="Also evaluate an untrained copy of each.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List the protocols.")] = False,
    show: Annotated[str | None, typer.Option("--show", help="Show the settings of one protocol.")] = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    machine: Typed = NOTHING_TOLD,
    overwrite: options.Overwrite = False,
    speaking: Typed = NOTHING_TOLD,
) -> None:
    """Evaluate encoders with a published protocol: linear probe, kNN, few-shot, retrieval, transfer, ...

    Writes metrics.csv, metrics.parquet, per_row.parquet, paired_probes.csv (several checkpoints, paired tests on the
    same test images) and run.json to --out (default: runs/probe/NAME-PROTOCOL).
    """
    from repdiag.core.distributed.first_process import is_first_process
    from repdiag.results.places import default_place
    from repdiag.results.transaction import check_place
    from repdiag.training.progress import PlainProgress
    from repdiag.workflows.probe import ProbeOptions, chosen_protocol, probe_checkpoints
    from repdiag.workflows.probed import save_probes

    console = console_of(speaking, speaks=is_first_process())
    if list_all or show is not None:
        _show_protocols(console, show)
        return
    chosen = [chosen_protocol(name.strip(), {"seed": seed}, changes or ()) for name in protocol.split(",")]
    running = {**machine_of(machine), "counting": console.counting}
    asked = ProbeOptions(
        **images,
        read_options=read_options_of(told),
        machine=running,
        fits=out.with_name(f"{out.name}-fits") if out is not None else default_place("probe", "fits"),
        again=overwrite,
        progress=None if speaking["quiet"] or speaking["no_progress"] else PlainProgress(),
    )
    again = overwrite or out is None

    def before(names: list[str]) -> None:
        check_place(_place(out, names, protocol), overwrite=again or not is_first_process())

    names, probes = probe_checkpoints(checkpoints or [], chosen, asked, untrained=untrained, before=before)
    if not is_first_process():
        return
    folder = _place(out, names, protocol)
    said = {"data": images["data"], "limit": images["limit"], "seed": seed, "protocols": [one.name for one in chosen]}
    save_probes(probes, folder, options=said, overwrite=again)
    _show_probes(console, probes, folder, told=out is not None)


def _place(out: Path | None, names: list[str], protocol: str) -> Path:
    from repdiag.results.places import default_place

    return out or default_place("probe", f"{names[0]}-{protocol.replace(',', '-')}")


def _show_protocols(console: Console, name: str | None) -> None:
    import yaml
    from rich.table import Table

    from repdiag.downstream.presets import PRESETS, get_protocol

    if name is not None:
        card = get_protocol(name).to_dict()
        console.say(f"{name}  (version {card['version']}): {card['what']}\nsource: {card['source']}\n\nsettings:")
        console.say(yaml.safe_dump(card["settings"], sort_keys=False, default_flow_style=None, width=100).rstrip())
        console.json(card)
        return
    table = Table("protocol", "version", "what it is", "source")
    for one in PRESETS:
        table.add_row(one.name, str(one.version), one.what, one.source)
    console.table(table)
    console.json([one.to_dict() for one in PRESETS])


def _show_probes(console: Console, probes: list[Probed], folder: Path, *, told: bool) -> None:
    from repdiag.core.metric_table import MetricTable
    from repdiag.results.terminal_tables import rows_table
    from repdiag.workflows.probed import pair_sentences, paired_frame

    for one in probes:
        console.say(one.summary)
    pairs = paired_frame(probes)
    for sentence in pair_sentences(pairs):
        console.say(f"  {sentence}")
    for one in probes:
        extra = one.row.extra
        console.say(f"\n{one.name}, {one.protocol.name}:")
        for fact in ("features", "row_scaling", "batch_norm", "crop", "interpolation", "selection", "epochs"):
            console.say(f"  {fact.replace('_', ' ') + ':':<15}{extra[fact]}")
    table = MetricTable.concat(one.table for one in probes)
    console.say("")
    for note in dict.fromkeys(note for one in probes for note in one.notes):
        console.say(f"note: {note}")
    if console.verbose:
        console.table(rows_table(table))
    console.say_place(folder, told=told)
    records = pairs.to_dict(orient="records")
    console.json({"metrics": table.to_records(), "pairs": records, "folder": str(folder)})
