"""Reads every file of a folder as a user would and reports, with an audit hook on; run as a script in a child process.

Prints one JSON object: file -> [outcome, seconds, what the hook saw]. Anything but "refused" or "read" is a failure.
"""

from __future__ import annotations

import encodings.cp437
import encodings.raw_unicode_escape  # noqa: F401
import json
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

from repdiag.checkpoints.load import load_encoder
from repdiag.checkpoints.reading.safe_load import read
from repdiag.core.errors import RepdiagError

WATCHED = ("os.system", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.remove", "os.rename",
           "shutil.", "socket.", "urllib.", "ctypes.", "pty.", "webbrowser.", "code.__new__", "import", "exec",
           "compile", "pickle.find_class")  # fmt: skip
seen: list[str] = []
state = {"watching": False}


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if not state["watching"]:
        return
    writes = event == "open" and isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
    if writes or event.startswith(WATCHED):
        seen.append(f"{event} {str(arguments)[:80]}")


def outcome_of(path: Path, *, whole: bool) -> str:
    try:
        if whole:
            load_encoder(path)
        else:
            read(path)
    except RepdiagError:
        return "refused"
    except Exception as error:
        return f"leaked {type(error).__name__}: {error}"
    return "read"


def main(folder: Path, *, whole: bool) -> None:
    warnings.simplefilter("ignore")
    with tempfile.NamedTemporaryFile(suffix=".pt") as plain:  # imports what reading needs before the hook looks
        torch.save({"weight": torch.ones(2)}, plain.name)
        outcome_of(Path(plain.name), whole=True)
    sys.addaudithook(watch)
    report: dict[str, list[object]] = {}
    for path in sorted(folder.iterdir()):
        seen.clear()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        state["watching"] = True
        outcome = outcome_of(path, whole=whole)
        state["watching"] = False
        seconds = time.perf_counter() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        report[path.name] = [outcome, seconds, grown, list(seen)]
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), whole=sys.argv[2] == "load")
