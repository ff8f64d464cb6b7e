"""A full or failing disk at any write, fsync, rename or link ends the run in one line and harms nothing."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from repdiag.checkpoints.own.native import read_native
from repdiag.core.errors import StoreError
from repdiag.training import checkpoint_files
from repdiag.training.checkpoint_files import CheckpointFiles
from repdiag.training.history import History
from repdiag.training.loop import train


class Faults:
    """Counts the system calls that write, and lets one of them fail, or every one from there on."""

    def __init__(self, monkeypatch, fail_at=None, code=errno.ENOSPC, *, lasting=False):
        self.count, self.fail_at, self.code, self.lasting = 0, fail_at, code, lasting
        names = (
            (os, "fsync"),
            (os, "link"),
            (os, "replace"),
            (Path, "replace"),
            (Path, "chmod"),
            (tempfile, "mkstemp"),
        )
        for module, name in names:
            monkeypatch.setattr(module, name, self.guarded(getattr(module, name)))
        fdopen, path_open = os.fdopen, Path.open
        monkeypatch.setattr(os, "fdopen", lambda *args, **kwargs: self.stream(fdopen(*args, **kwargs)))

        def opened(path, mode="r", **kwargs):
            if set(mode) & set("wax+"):
                self.happen()
                return self.stream(path_open(path, mode, **kwargs))
            return path_open(path, mode, **kwargs)

        monkeypatch.setattr(Path, "open", opened)

    def happen(self):
        self.count += 1
        if self.fail_at and (self.count == self.fail_at or (self.lasting and self.count > self.fail_at)):
            raise OSError(self.code, os.strerror(self.code))

    def guarded(self, function):
        def wrapped(*args, **kwargs):
            self.happen()
            return function(*args, **kwargs)

        return wrapped

    def stream(self, opened):
        faults = self

        class Stream:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                opened.close()

            def __getattr__(self, name):
                return getattr(opened, name)

            def write(self, content):
                content = content if isinstance(content, str) else bytes(content)
                opened.write(content[: len(content) // 2])
                faults.happen()
                return opened.write(content[len(content) // 2 :])

        return Stream()


def payload(step):
    return {"progress": f'{{"step": {step}}}', "config": "{}"}


def calls_of_a_save(tmp_path):
    files = CheckpointFiles(tmp_path / "count")
    files.save(payload(1))
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch)
        files.save(payload(2))
    return faults.count


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_every_call_of_a_save_may_fail(tmp_path, code):
    calls = calls_of_a_save(tmp_path)
    assert calls >= 5  # link, rename, write, fsync, rename
    for call in range(1, calls + 1):
        files = CheckpointFiles(tmp_path / f"{code}-{call}")
        files.save(payload(1))
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, call, code)
            with pytest.raises(StoreError) as raised:
                files.save(payload(2))
        assert "\n" not in raised.value.problem
        left = sorted(path.name for path in files.folder.iterdir())
        assert set(left) <= {"last.pt", "previous.pt"}, f"call {call} left {left}"
        found = files.newest()
        assert found is not None
        assert found.payload["progress"] in {payload(1)["progress"], payload(2)["progress"]}
        assert not found.damaged
        files.save(payload(3))
        assert read_native(files.last)["progress"] == payload(3)["progress"]


# A full disk and a used-up quota stay so until somebody acts; a disk error may come once.
FAULTS = ((errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False))
# 1 makes every single call fail in all three ways, which takes a minute or two.
STRIDE = int(os.environ.get("REPDIAG_FAULT_STRIDE", "5"))
SHORT = ("data.limit=16", "schedule.epochs=2", "loop.log_every=1")


def outcome(last):
    return read_native(last)["digest"], (last.parent.parent / "history.csv").read_bytes()


@pytest.mark.slow
def test_every_call_of_a_whole_run_may_fail(tiny, tmp_path):
    """Each write, fsync, rename, link and creation of a run fails in turn: one line, nothing lost, the same end."""
    settings = tiny(*SHORT)
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch)
        expected = outcome(train(settings, tmp_path / "counted", device="cpu"))
    assert faults.count >= 30
    for call in range(1, faults.count + 1, STRIDE):
        for code, lasting in FAULTS if STRIDE == 1 else FAULTS[call % 3 :][:1]:
            run, where = tmp_path / "run", f"call {call} of {faults.count}, {errno.errorcode[code]}"
            with pytest.MonkeyPatch.context() as patch:
                Faults(patch, call, code, lasting=lasting)
                with pytest.raises(StoreError) as raised:
                    train(settings, run, device="cpu")
            assert "\n" not in raised.value.problem, where
            assert not list(run.rglob("*.tmp")), where
            found = CheckpointFiles(run).newest()
            assert found is None or not found.damaged, where
            assert outcome(train(settings, run, device="cpu")) == expected, where
            shutil.rmtree(run)


def test_a_run_directory_that_cannot_be_written_is_one_line(tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot use"):
        train(tiny(*SHORT), tmp_path / "file" / "run", device="cpu")


def test_the_history_drops_rows_after_the_resumed_step_and_a_torn_line(tmp_path):
    path = tmp_path / "history.csv"
    history = History(path, resume_step=0)
    for step in (1, 2, 3):
        history.append({"step": step, "loss": step / 10})
    with path.open("a") as stream:
        stream.write("4,0.")
    History(path, resume_step=2).append({"step": 3, "loss": 0.5})
    assert path.read_text() == "step,loss\n1,0.1\n2,0.2\n3,0.5\n"


def test_a_history_that_somebody_edited_is_named(tmp_path):
    (tmp_path / "history.csv").write_bytes(b"step;loss\r\n1;0\xe9\r\n")
    with pytest.raises(StoreError, match="move it away"):
        History(tmp_path / "history.csv", resume_step=1)


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_links_the_previous_checkpoint_is_a_copy(tmp_path, monkeypatch, code):
    def refused(*_):
        raise OSError(code, "no links here")

    monkeypatch.setattr(checkpoint_files.os, "link", refused)
    files = CheckpointFiles(tmp_path)
    files.save(payload(1))
    files.save(payload(2))
    assert read_native(files.previous)["progress"] == payload(1)["progress"]
    assert not files.previous.samefile(files.last)
