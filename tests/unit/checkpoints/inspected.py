"""Runs `repdiag inspect` on files as a user would, each in a forked child that is measured; run as a script.

Prints one JSON line a file: its name, exit code, seconds of processor time, bytes of memory beyond the start, what it
printed, and what an audit hook saw. A child that takes longer than `--limit` is ended and reported.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

from repdiag.checkpoints.load import load_encoder
from repdiag.cli.app import main as command_line

WATCHED = ("os.system", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.remove", "os.rename",
           "shutil.", "socket.", "urllib.", "ctypes.dlopen", "pty.", "webbrowser.", "pickle.find_class")  # fmt: skip
_ADDRESS_SPACE = 8 * 2**30  # beyond what the imports take: a machine is not to be filled by a test


def warm_up() -> None:
    """Import what reading needs, so that no child does."""
    import timm
    import torchvision

    from repdiag.checkpoints.architectures.named import known_names

    del timm, torchvision
    known_names({})
    with tempfile.TemporaryDirectory() as folder:
        torch.save({"weight": torch.ones(2)}, Path(folder) / "x.pt")
        try:
            load_encoder(Path(folder) / "x.pt")
        except Exception:  # only its imports are wanted
            return


def inspected(path: Path, *, limit: float) -> dict[str, Any]:
    """Return what became of one file."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(path, writing)
    os.close(writing)
    found = _answer(reading, until=time.monotonic() + limit)
    if found is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    ended = {"code": f"ended by signal {os.WTERMSIG(status)}" if found is not None else f"longer than {limit} s"}
    return {"name": path.name, **(json.loads(found) if found else ended)}


def _answer(reading: int, *, until: float) -> bytes | None:
    parts: list[bytes] = []
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while True:
            if not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            part = stream.read(2**16)
            if not part:
                return b"".join(parts)
            parts.append(part)


def _child(path: Path, writing: int) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _status("VmRSS")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESS_SPACE,) * 2)
    seen: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
        if writes or event.startswith(WATCHED):
            seen.append(f"{event} {str(arguments)[:80]}")

    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        sys.addaudithook(watch)
        started = time.process_time()
        code, leaked = _run(path)
        seconds = time.process_time() - started
        events = list(seen)
        sys.stdout.flush()
        size = printed.seek(0, os.SEEK_END)
        printed.seek(0)
        text = printed.read(2**16).decode("utf-8", "replace")
    found = {"code": code, "leaked": leaked, "seconds": seconds, "memory": _status("VmHWM") - before, "events": events}
    os.write(writing, json.dumps({**found, "printed": size, "text": text}).encode())
    os._exit(0)


def _run(path: Path) -> tuple[int, str]:
    sys.argv = ["repdiag", "inspect", str(path)]
    try:
        command_line()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0, ""
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return 98, f"{type(error).__name__}: {str(error)[:120]} at {Path(where.filename).name}:{where.lineno}"
    return 0, ""


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def main() -> None:
    """Inspect every file or folder that is named, or that lies in the folder that is named alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--limit", type=float, default=30.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    warm_up()
    for path in options.paths:
        print(json.dumps(inspected(path, limit=options.limit)), flush=True)


if __name__ == "__main__":
    main()
