"""The command line: registers the commands and turns errors into one screen and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from repdiag.cli import (
    analyze,
    compare,
    convert,
    datasets,
    demo,
    doctor,
    drift,
    embed,
    evaluate,
    export,
    failures,
    figures,
    inspect,
    metrics,
    probe,
    report,
    table,
    train,
)
from repdiag.core import streams
from repdiag.core.distributed.first_process import is_first_process, process_count
from repdiag.core.errors import StoppedError, UsageError
from repdiag.core.signals import forget_interrupts, interrupt_on_signals
from repdiag.core.version import __version__

app = typer.Typer(
    name="repdiag",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich takes longer than everything else together
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Representation-space diagnostics: is this encoder any good, and what is wrong with it?",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 a --fail-on gate failed, 130 stopped. --debug shows the "
    "traceback of an error.",
)
app.command("train")(train.train)
app.command("analyze")(analyze.analyze)
app.command("compare")(compare.compare)
app.command("drift")(drift.drift)
app.command("evaluate")(evaluate.evaluate)
app.command("probe")(probe.probe)
app.command("embed")(embed.embed)
app.command("inspect")(inspect.inspect)
app.command("convert")(convert.convert)
app.command("report")(report.report)
app.command("figures")(figures.figures)
app.command("table")(table.table)
app.command("export")(export.export)
app.add_typer(metrics.app, name="metrics")
app.command("datasets")(datasets.datasets)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"repdiag {__version__}")
        raise typer.Exit


_SHARED = ("train", "analyze", "embed", "compare", "probe")  # commands that share their work under torchrun


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Diagnose the representation space of any image encoder."""
    del version  # its callback has answered
    if process_count() > 1 and context.invoked_subcommand not in _SHARED:
        raise UsageError(
            f"{context.invoked_subcommand} cannot share its work among processes",
            found=f"{os.environ['WORLD_SIZE']} processes, as started by torchrun",
            hint=f"start it without torchrun; commands that can: {', '.join(_SHARED)}",
        )


def main() -> None:
    """Run the command line; errors of our own are printed without a traceback, and with `--json` as JSON too."""
    # Threads that spin while they wait make a small step up to thirty times slower on a machine with other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    debug, as_json = "--debug" in sys.argv, "--json" in sys.argv and is_first_process()
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        streams.prepare(needed=as_json)
        interrupt_on_signals()
        code = app(standalone_mode=False)
        if code == StoppedError.exit_code:  # all that typer leaves of a KeyboardInterrupt
            raise KeyboardInterrupt
        streams.finish()
        forget_interrupts()
        sys.exit(code)
    except BrokenPipeError:
        streams.give_up()  # the reader of our output went away (`| head`): not a failure
    except (Exception, KeyboardInterrupt) as error:
        forget_interrupts()
        if as_json and not streams.say(failures.failure_of(error).to_json()):
            streams.give_up()
        if debug or not failures.is_expected(error):
            raise
        failures.show(error)
        sys.exit(failures.failure_of(error).exit_code)
