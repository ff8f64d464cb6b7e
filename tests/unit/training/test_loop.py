"""What a run leaves behind, and how it ends when something goes wrong."""

import json
import os
import signal

import pytest
import torch

from repdiag.checkpoints.own.native import read_native
from repdiag.core.errors import CheckpointError, ConfigError, StoppedError, StoreError, TrainingError
from repdiag.training.history import read_history
from repdiag.training.loop import train
from repdiag.training.progress import PlainProgress, SilentProgress, make_progress
from repdiag.training.step import Stepper


class Listener(SilentProgress):
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)


@pytest.fixture
def finished(tiny, tmp_path):
    """Directory of a completed run, and its outcome."""
    last = train(tiny(), tmp_path / "whole", device="cpu")
    return last.parent.parent, digest(last.parent.parent), (tmp_path / "whole" / "history.csv").read_bytes()


def digest(run):
    return read_native(run / "checkpoints" / "last.pt")["digest"]


def status(run):
    return json.loads((run / "run.json").read_text())["status"]


def interrupt_at(monkeypatch, step, action):
    """Do something inside the given training step."""
    take, count = Stepper.take, iter(range(1, 1000))

    def wrapped(self, batch, clock):
        if next(count) == step:
            action()
        return take(self, batch, clock)

    monkeypatch.setattr(Stepper, "take", wrapped)


def test_a_run_leaves_its_record_history_and_checkpoints(finished):
    run, _, _ = finished
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["step"], record["threads"]) == ("completed", 15, 1)
    assert record["config"]["schedule"]["epochs"] == 3
    assert len(record["dataset_fingerprint"]) == 64
    rows = read_history(run / "history.csv")
    assert [row["step"] for row in rows] == [2, 4, 5, 6, 8, 10, 12, 14, 15]
    assert all(0 <= row["contrast_accuracy"] <= 1 and row["loss"] > 0 for row in rows)
    first, last = (read_native(run / "checkpoints" / f"{name}.pt") for name in ("initial", "last"))
    assert json.loads(first["progress"])["step"] == 0
    assert not torch.equal(first["backbone"]["0.weight"], last["backbone"]["0.weight"])
    assert last["method"]["queue"].shape == (32, 128)


def test_a_completed_run_is_left_as_it_is(finished, tiny):
    run, before, history = finished
    train(tiny(), run, device="cpu")
    assert (digest(run), (run / "history.csv").read_bytes(), status(run)) == (before, history, "completed")


def test_other_settings_are_refused_and_named(finished, tiny):
    run, before, _ = finished
    with pytest.raises(ConfigError, match=r"optimizer\.lr: 0\.06 -> 0\.01"):
        train(tiny("optimizer.lr=0.01"), run, device="cpu")
    assert digest(run) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_after_the_step_in_flight(finished, tiny, tmp_path, monkeypatch, number):
    _, expected, history = finished
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 8, lambda: os.kill(os.getpid(), number))
        with pytest.raises(StoppedError, match="stopped before its end") as stopped:
            train(tiny(), tmp_path / "run", device="cpu")
    assert stopped.value.exit_code == 130
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    assert json.loads(read_native(last)["progress"])["step"] == 8
    assert status(tmp_path / "run") == "interrupted"
    assert signal.getsignal(number) is before
    train(tiny(), tmp_path / "run", device="cpu")
    assert (digest(tmp_path / "run"), (tmp_path / "run" / "history.csv").read_bytes()) == (expected, history)


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint(tiny, tmp_path):
    """A step of 1e30 leaves weights whose next products overflow: the second loss is the first bad one."""
    with pytest.raises(TrainingError, match="not finite at step 2"):
        train(tiny("optimizer.lr=1e30", "schedule.warmup_epochs=0"), tmp_path / "run", device="cpu")
    assert status(tmp_path / "run") == "failed"
    assert json.loads(read_native(tmp_path / "run" / "checkpoints" / "initial.pt")["progress"])["step"] == 0


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before_and_says_so(finished, tiny, tmp_path):
    _, expected, history = finished
    run = tmp_path / "run"
    train(tiny(), run, device="cpu")
    last = run / "checkpoints" / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    listener = Listener()
    train(tiny(), run, device="cpu", progress=listener)
    assert any("last.pt" in text and "resuming from previous.pt, step 14" in text for text in listener.messages)
    assert (digest(run), (run / "history.csv").read_bytes()) == (expected, history)


def test_when_every_checkpoint_is_damaged_nothing_is_overwritten(finished, tiny):
    run, _, _ = finished
    files = sorted((run / "checkpoints").glob("*.pt"))
    for path in files:
        path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="every checkpoint"):
        train(tiny(), run, device="cpu")
    assert [path.read_bytes() for path in files] == [b"not a checkpoint"] * len(files)


def test_two_processes_cannot_train_in_one_directory(finished, tiny):
    from repdiag.training.run_directory import RunDirectory

    run, _, _ = finished
    with RunDirectory(run), pytest.raises(StoreError, match="another process"):
        train(tiny(), run, device="cpu")


def test_out_of_memory_names_a_batch_size_that_fits(tiny, tmp_path, monkeypatch):
    from repdiag.methods.moco_v2 import MoCoV2

    step = MoCoV2.training_step

    def limited(self, batch):
        if len(batch.labels) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, batch)

    monkeypatch.setattr(MoCoV2, "training_step", limited)
    with pytest.raises(TrainingError, match="a batch of 4 fits"):
        train(tiny(), tmp_path / "run", device="cpu")


def test_too_little_space_is_said_before_the_first_step(tiny, tmp_path, monkeypatch):
    from shutil import disk_usage

    monkeypatch.setattr("shutil.disk_usage", lambda path: disk_usage(path)._replace(free=1000))
    with pytest.raises(StoreError, match="too little space"):
        train(tiny(), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "history.csv").exists()


def test_the_room_for_checkpoints_counts_what_the_optimizer_will_remember(tiny, tmp_path, monkeypatch, caplog):
    from shutil import disk_usage

    settings = tiny("loop.keep_every_epochs=1")
    files = train(settings, tmp_path / "first", device="cpu").parent
    first, last = ((files / name).stat().st_size for name in ("initial.pt", "last.pt"))
    assert last > first
    assert not caplog.messages
    free = 3 * first
    monkeypatch.setattr("shutil.disk_usage", lambda path: disk_usage(path)._replace(free=free))
    with pytest.raises(StoreError, match="too little space"):
        train(settings, tmp_path / "second", device="cpu")
    free = 4 * last
    train(settings, tmp_path / "third", device="cpu")
    assert "3 kept checkpoints will need" in caplog.text


def test_keeping_epochs(tiny, tmp_path):
    train(tiny("loop.keep_every_epochs=2"), tmp_path / "run", device="cpu")
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("epoch_*"))
    assert kept == ["epoch_0002.pt"]
    assert json.loads(read_native(tmp_path / "run" / "checkpoints" / kept[0])["progress"])["epoch"] == 2


def test_without_progress_what_must_be_said_is_said(capsys):
    make_progress(enabled=False).message("going on from previous.pt")
    make_progress(enabled=False).update(step=1, epoch=0, values={"loss": 1.0})
    make_progress(quiet=True).message("nothing")
    assert capsys.readouterr().err == "going on from previous.pt\n"


def test_plain_progress_shows_rate_and_values(tiny, tmp_path, capsys):
    train(tiny(), tmp_path / "run", device="cpu", progress=PlainProgress(seconds=0.0))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert all(word in lines[-1] for word in ("step 15/15", "loss", "contrast accuracy", "images/s"))
