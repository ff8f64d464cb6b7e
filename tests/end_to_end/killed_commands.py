"""Runs commands of repdiag in child processes that are killed, or whose disk is full, at chosen moments.

Reads requests from standard input, one line of JSON each: {"argv": [...], "cwd": folder} and one of "kill": n (SIGKILL
at the n-th step on the file system), "seconds": s (SIGKILL after s seconds), "signal": s (SIGTERM after s seconds) and
"full": [n, m, ...] (one child each, whose disk is full from its n-th step on: it takes no bytes and no new names).
Steps are: each file opened to be written, fsync, rename, mkdir, unlink. Answers with a line of JSON: exit code
(negative: the signal), steps, seconds and the words on stderr. The children share this process's imports and, with
"full", the work done before the first step.
"""

import email.message
import errno
import hashlib
import io
import json
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

MOVES = ("rename", "replace")
TIDIES = ("unlink", "rmdir")


class Steps:
    """Counts steps on the file system, and acts before each; knows which of them a full disk refuses."""

    def __init__(self, act):
        self.count, self.act, self.freed = 0, act, set()

    def watch(self):
        self._around(os, "fsync", needs_room=lambda *_: True)
        self._around(Path, "mkdir", needs_room=lambda path, *_: not path.is_dir())
        for name in MOVES:
            self._around(Path, name, needs_room=self._is_new_name)
        for name in TIDIES:
            self._around(Path, name, needs_room=lambda *_: False)
        opened = Path.open

        def counted(path, mode="r", *args, **kwargs):
            if set("wxa") & set(mode):
                self._step(needs_room=True)
            return opened(path, mode, *args, **kwargs)

        Path.open = counted

    def _around(self, place, name, needs_room):
        function = getattr(place, name)

        def counted(*args, **kwargs):
            self._step(needs_room=needs_room(*args))
            found = function(*args, **kwargs)
            if name in MOVES:
                self.freed.add(os.path.abspath(args[0]))  # noqa: PTH100 - of a name, which may be a link
            return found

        setattr(place, name, counted)

    def _is_new_name(self, source, target):
        """Say whether the folder of a rename's target must grow: not where the name is there, or was."""
        return not (os.path.lexists(target) or os.path.abspath(target) in self.freed)  # noqa: PTH100

    def _step(self, *, needs_room):
        self.count += 1
        self.act(self.count, needs_room)


def kill_at(step):
    def act(count, needs_room):
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def full_from(step):
    def act(count, needs_room):
        if step is not None and count >= step and needs_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return act


def full_at_each(places, report, cwd):
    """At the first step, try each of `places` in a child of its own, report how it ended, wait for a word, and end."""

    def act(count, needs_room):
        if act.full is not None:
            return act.full(count, needs_room)
        for place in places:
            child = os.fork()
            if child == 0:
                os.chdir(cwd)
                report.truncate(0)
                os.lseek(report.fileno(), 0, os.SEEK_SET)
                os.dup2(report.fileno(), 2)
                act.full = full_from(place)
                return act.full(count, needs_room)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            act.tell(place, code)
            os.read(0, 1)
        os._exit(0)

    act.full = None
    return act


def command(argv, cwd, steps):
    """Run one command as the command line does; return its exit code."""
    from repdiag.cli.app import main

    os.chdir(cwd)
    sys.argv = ["repdiag", *argv]
    steps.watch()
    if argv[0] == "download":
        return downloaded(*argv[1:])
    try:
        main()
    except SystemExit as left:
        return left.code or 0
    return 0


def in_child(request):
    with tempfile.NamedTemporaryFile() as words, tempfile.NamedTemporaryFile() as counted:
        started, child = time.monotonic(), os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(words.fileno(), 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                steps = Steps(kill_at(request.get("kill")))
                code = command(request["argv"], request["cwd"], steps)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os.write(counted.fileno(), str(steps.count).encode())
                os._exit(code if isinstance(code, int) else 1)
        number = signal.SIGTERM if "signal" in request else signal.SIGKILL
        wait = request.get("signal", request.get("seconds"))
        status = _waited(child, wait, number)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "steps": int(Path(counted.name).read_text() or 0),
            "seconds": time.monotonic() - started,
            "words": Path(words.name).read_text(errors="replace")[-2000:],
        }


def _waited(child, wait, number):
    if wait is not None:
        until = time.monotonic() + wait
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return status
            time.sleep(0.002)
        os.kill(child, number)
    return os.waitpid(child, 0)[1]


def with_full_disks(request, tell):
    """Run the command up to its first step, and on from there with a disk that is full from each of the places on."""
    with tempfile.NamedTemporaryFile(buffering=0) as words:
        child = os.fork()
        if child == 0:
            act = full_at_each(request["full"], words, request["cwd"])

            def told(place, code):
                tell({"place": place, "code": code, "words": Path(words.name).read_text(errors="replace")[-2000:]})

            act.tell = told
            code = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                code = command(request["argv"], request["cwd"], Steps(act))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code if isinstance(code, int) else 1)
        os.waitpid(child, 0)


class Remembered:
    """A slow computation whose answers the children of this process share: what is tried here is what is written.

    They are computed in a child and not here: a process whose libraries have begun to work in threads must not fork.
    """

    folder = tempfile.mkdtemp(prefix="repdiag-soak-")

    def __init__(self, module, name, key):
        self.function, self.key = getattr(module, name), key
        setattr(module, name, self)

    def __call__(self, *args, **kwargs):
        key = repr((self.function.__name__, self.key(*args), kwargs.get("seed")))
        path = os.path.join(self.folder, hashlib.sha256(key.encode()).hexdigest())  # noqa: PTH118 - not counted as a step
        if os.path.exists(path):  # noqa: PTH110
            with open(path, "rb") as stream:  # noqa: PTH123
                return pickle.load(stream)
        answer = self.function(*args, **kwargs)
        with open(f"{path}.{os.getpid()}", "wb") as stream:  # noqa: PTH123
            pickle.dump(answer, stream)
        os.replace(stream.name, path)  # noqa: PTH105
        return answer


def remember():
    import repdiag.diagnosis.comparisons
    import repdiag.metrics.evaluate
    import repdiag.workflows.analyze
    import repdiag.workflows.common_dimension
    import repdiag.workflows.pairs

    def name(found, *wanted):
        return found.provenance.checkpoint, found.provenance.split, len(found), wanted

    Remembered(repdiag.workflows.analyze, "evaluate_sets", lambda sets, options: (name(sets["val"]), options))
    Remembered(repdiag.metrics.evaluate, "evaluate", name)
    Remembered(repdiag.diagnosis.comparisons, "hold_against", lambda _, found, others: (name(found), sorted(others)))
    Remembered(repdiag.workflows.pairs, "compare_pairs", lambda sets, folders: (sorted(sets), sorted(folders)))
    Remembered(repdiag.workflows.common_dimension, "read_at_common_dimension", sorted)


class Response:
    """What a server answers that knows ranges; slow, so that a kill meets the middle of it."""

    def __init__(self, data, start):
        self.data, self.at, self.status = data, start, 206 if start else 200
        self.headers = email.message.Message()
        self.headers["ETag"], self.headers["Content-Length"] = '"one"', str(len(data) - start)
        if start:
            self.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.url = self.code = self.reason = None

    def read(self, count=-1):
        time.sleep(0.002)
        count = min(2**14 if count < 0 else count, 2**14)
        block = self.data[self.at : self.at + count]
        self.at += len(block)
        return block

    read1 = read

    def geturl(self):
        return "https://example.org/weights.pth"

    def info(self):
        return self.headers

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def downloaded(target):
    """Fetch a file and say on stderr why not, as the command line does; return the exit code."""
    from repdiag.cli import failures

    try:
        download(target)
    except Exception as error:
        if not failures.is_expected(error):
            raise
        failures.show(error)
        return 1
    return 0


def download(target):
    """Fetch a megabyte as `repdiag ... --download` does, from a server that is played by this process."""
    import urllib.error
    import urllib.request

    from repdiag.checkpoints.sources.download import download as fetch

    data = bytes(range(256)) * 4096

    def answer(opener, request, *_, **__):
        start = int((request.get_header("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if start >= len(data):
            headers = email.message.Message()
            headers["Content-Range"] = f"bytes */{len(data)}"
            raise urllib.error.HTTPError(request.full_url, 416, "no such range", headers, io.BytesIO())
        return Response(data, start)

    urllib.request.OpenerDirector.open = answer
    fetch("https://example.org/weights.pth", Path(target), size=len(data), sha256=hashlib.sha256(data).hexdigest())


def main():
    import torch

    from repdiag.core.provenance import environment

    torch.set_num_threads(1)
    environment()
    for name in ("analyze", "compare", "embed", "figures", "report", "redraw", "hardest", "point_map"):
        __import__(f"repdiag.workflows.{name}")
    remember()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        if "full" in request:

            def tell(answer):
                answers.write(json.dumps(answer) + "\n")
                answers.flush()

            with_full_disks(request, tell)
            tell({"done": True})
        else:
            answers.write(json.dumps(in_child(request)) + "\n")
            answers.flush()
    shutil.rmtree(Remembered.folder)


if __name__ == "__main__":
    main()
