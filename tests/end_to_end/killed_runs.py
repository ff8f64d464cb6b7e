"""Trains in child processes that are killed at chosen moments; reads plans from standard input.

A plan, one line of JSON, maps run directories to attempts, each null (left alone), {"event": n} (SIGKILL at the n-th
event from the inside) or {"seconds": s} (SIGKILL from the outside). Events are: before and after each training step,
each fsync, rename and link, and the middle of each checkpoint's write. Answers each plan with a line of JSON: how the
attempts of each run ended and how many events the last one had.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from repdiag.checkpoints import native
from repdiag.core.provenance import environment
from repdiag.training.assembly import assemble, resolve_settings
from repdiag.training.compute import choose_compute
from repdiag.training.distributed import World
from repdiag.training.loop import train
from repdiag.training.step import Stepper

OVERRIDES = [
    f"backbone.name={Path(__file__).with_name('tiny_backbone.py')}:build",
    "projector.dropout=0.1",
    "method.shuffle_groups=2",
    "method.queue_size=32",
    "data.limit=80",
    "schedule.epochs=3",
    "loop.batch_size=16",
    "loop.log_every=2",
    "loop.save_every_steps=2",
    "loop.save_every_seconds=null",
]


class Events:
    """Counts events and kills this process at one of them."""

    def __init__(self, kill_at):
        self.count, self.kill_at = 0, kill_at

    def happen(self):
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function):
        def wrapped(*args, **kwargs):
            self.happen()
            result = function(*args, **kwargs)
            self.happen()
            return result

        return wrapped

    def half_written(self, write_atomic):
        def wrapped(path, write):
            def halves(stream):
                class Cut:
                    def write(cut, content):  # noqa: N805
                        stream.write(content[: len(content) // 2])
                        stream.flush()
                        self.happen()
                        return stream.write(content[len(content) // 2 :])

                return write(Cut())

            return write_atomic(path, halves)

        return wrapped


def attempt(out, kill_at, counter):
    events = Events(kill_at)
    os.fsync, os.link, os.replace = (events.around(function) for function in (os.fsync, os.link, os.replace))
    Path.replace = os.replace
    Stepper.take = events.around(Stepper.take)
    native.write_atomic = events.half_written(native.write_atomic)
    torch.set_num_threads(1)
    train(resolve_settings(overrides=OVERRIDES), out, device="cpu")
    counter.write_text(str(events.count))


def fork(out, entry, counter):
    """Make one attempt in a child of this process, whose imports it shares; return its exit code."""
    child = os.fork()
    if child == 0:
        try:
            attempt(out, entry.get("event"), counter)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if "seconds" in entry:
        time.sleep(entry["seconds"])
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    environment()
    settings = resolve_settings(overrides=OVERRIDES)
    assemble(settings, compute=choose_compute(settings.loop, device="cpu"), world=World())  # children share imports
    for line in sys.stdin:
        report = {}
        for name, attempts in json.loads(line).items():
            out = Path(name)
            counter = out.with_suffix(".events")
            endings = [fork(out, entry or {}, counter) for entry in attempts]
            report[name] = {"endings": endings, "events": int(counter.read_text()) if counter.exists() else None}
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
