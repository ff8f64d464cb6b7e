"""What follows a run beside its history: the monitor, TensorBoard, a starting point."""

import signal

import pytest
import torch

from repdiag.checkpoints.load import load_encoder
from repdiag.checkpoints.own.native import read_native
from repdiag.core.errors import CheckpointError, StoppedError
from repdiag.core.metric_table import MetricTable
from repdiag.training.loop import train

RESNET = ["backbone.name=resnet20", "data.limit=32", "method.queue_size=16", "schedule.epochs=2"]


def test_the_monitor_sees_every_epoch_and_changes_nothing(tiny, tmp_path):
    seen = []

    def measure(val, train):
        seen.append((len(val), len(train), val.provenance.epoch))
        return MetricTable(())

    watched = train(tiny(*RESNET), tmp_path / "watched", device="cpu", measure=measure)
    alone = train(tiny(*RESNET), tmp_path / "alone", device="cpu")
    assert seen == [(360, 360, 1), (360, 360, 2)]  # 36 of each digit, the rarest one of val
    assert sorted(path.name for path in (tmp_path / "watched" / "monitor").iterdir()) == [
        "epoch_0001.csv",
        "epoch_0002.csv",
    ]
    assert read_native(watched)["digest"] == read_native(alone)["digest"]


def test_a_signal_during_the_monitor_ends_the_run_and_the_epoch_is_measured_later(tiny, tmp_path):
    seen = []

    def measure(val, train):
        seen.append(val.provenance.epoch)
        return MetricTable(())

    from repdiag.training import monitor

    extract = monitor.extract

    def interrupted(*args, **kwargs):
        signal.raise_signal(signal.SIGTERM)
        return extract(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor, "extract", interrupted)
        patch.setattr(monitor, "PER_CLASS", 2)
        with pytest.raises(StoppedError):
            train(tiny(*RESNET), tmp_path / "run", device="cpu", measure=measure)
        assert seen == []
        patch.setattr(monitor, "extract", extract)
        train(tiny(*RESNET), tmp_path / "run", device="cpu", measure=measure)
    assert seen == [1, 2]


def test_a_run_that_begins_anew_finds_nothing_of_the_one_before(tiny, tmp_path):
    """Neither the monitor's tables, which it would take for its own, nor damaged checkpoints."""
    left = (tmp_path / "monitor" / "epoch_0001.csv", tmp_path / "checkpoints" / "last.pt.damaged")
    for path in left:
        path.parent.mkdir()
        path.touch()
    (tmp_path / "run.json").write_text('{"schema_version": 1, "kind": "train"}', "utf-8")
    train(tiny("schedule.epochs=1"), tmp_path, device="cpu", resume="never")
    assert not any(path.exists() for path in left)


def test_tensorboard_events_hold_the_history(tiny, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(tiny("loop.tensorboard=true"), tmp_path / "run", device="cpu")
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4, 5, 6, 8, 10, 12, 14, 15]


def test_starting_from_another_run_takes_the_weights_that_fit(tiny, tmp_path):
    first = train(tiny(*RESNET), tmp_path / "first", device="cpu")
    second = train(tiny(*RESNET, f"initialize_from={first}", "projector.kind=wide"), tmp_path / "second", device="cpu")
    start = read_native(second.with_name("initial.pt"))
    for branch in ("backbone", "momentum_backbone"):
        for name, value in read_native(first)["backbone"].items():
            assert torch.equal(start[branch][name], value), f"{branch} {name}"
    assert start["optimizer"]["state"] == {}


def test_a_run_is_a_starting_point_by_its_directory_too(tiny, tmp_path):
    first = train(tiny(*RESNET), tmp_path / "first", device="cpu")
    train(tiny(*RESNET, f"initialize_from={tmp_path / 'first'}"), tmp_path / "second", device="cpu")
    start = read_native(tmp_path / "second" / "checkpoints" / "initial.pt")
    assert torch.equal(start["backbone"]["conv1.weight"], read_native(first)["backbone"]["conv1.weight"])


def test_starting_from_a_stranger_is_refused(tiny, tmp_path):
    first = train(tiny(*RESNET), tmp_path / "first", device="cpu")
    with pytest.raises(CheckpointError, match="fit the backbone"):
        train(tiny(f"initialize_from={first}"), tmp_path / "second", device="cpu")


def test_code_that_a_checkpoint_names_runs_only_when_the_user_names_it_too(tiny, tmp_path):
    mark = tmp_path / "ran"
    code = "from torch import nn\nfrom pathlib import Path\ndef build():\n"
    code += f"    Path({str(mark)!r}).touch()\n"
    code += "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    (tmp_path / "mine.py").write_text(code)
    named = f"{tmp_path / 'mine.py'}:build"
    last = train(tiny(f"backbone.name={named}"), tmp_path / "run", device="cpu")
    mark.unlink()
    with pytest.raises(CheckpointError, match="names its own code"):
        load_encoder(last)
    assert not mark.exists()
    assert load_encoder(last, backbone=named).info.feature_dim == 4
