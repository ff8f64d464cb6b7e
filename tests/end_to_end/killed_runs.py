"""Trains in child processes that are killed at chosen moments; reads plans from standard input.

A plan, one line of JSON, maps run directories to attempts, each null (left alone), {"event": n} (SIGKILL at the n-th
event from the inside) or {"seen": n, "pause": s} (SIGKILL from the outside, s seconds after the n-th event was seen:
in the middle of whatever the machine is at then). Events are: before and after each training step,
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

from repdiag.checkpoints.own import native
from repdiag.core.distributed.world import World
from repdiag.core.provenance import environment
from repdiag.training.assembly import assemble, resolve_settings
from repdiag.training.compute import choose_compute
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

    def __init__(self, kill_at, tell):
        self.count, self.kill_at, self.tell = 0, kill_at, tell

    def happen(self):
        self.count += 1
        os.write(self.tell, b".")
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


def attempt(out, kill_at, *, counter, tell):
    events = Events(kill_at, tell)
    os.fsync, os.link, os.replace = (events.around(function) for function in (os.fsync, os.link, os.replace))
    Path.replace = os.replace
    Stepper.take = events.around(Stepper.take)
    native.write_atomic = events.half_written(native.write_atomic)
    torch.set_num_threads(1)
    train(resolve_settings(overrides=OVERRIDES), out, device="cpu")
    counter.write_text(str(events.count))


def fork(out, entry, counter):
    """Make one attempt in a child of this process, whose imports it shares; return its exit code."""
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        try:
            attempt(out, entry.get("event"), counter=counter, tell=tell)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(tell)
    watch(child, heard, entry)
    os.close(heard)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def watch(child, heard, entry):
    """Follow the events of a child until it ends, or kill it when it is time."""
    seen = 0
    while events := os.read(heard, 1):
        seen += len(events)
        if seen == entry.get("seen"):
            time.sleep(entry["pause"])
            os.kill(child, signal.SIGKILL)


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
