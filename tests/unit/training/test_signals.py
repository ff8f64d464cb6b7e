"""SIGTERM at any time of a run: saved, "interrupted", and the resumed run ends with the bits of an undisturbed one."""

import json
import os
import signal

import jaxtyping
import pytest
import torch

from repdiag.checkpoints.own import native
from repdiag.checkpoints.own.native import read_native
from repdiag.core.errors import StoppedError
from repdiag.core.metric_table import MetricTable
from repdiag.data.loaders import TrainLoader
from repdiag.training import loop, monitor
from repdiag.training.loop import train
from repdiag.training.step import Stepper

WARM = ["schedule.warmup_epochs=2", "data.limit=48", "schedule.epochs=2"]


def measure(val, train):
    return MetricTable(())


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def before(monkeypatch, owner, name, call):
    """Send the signal as the given call of a function begins."""
    function, count = getattr(owner, name), iter(range(1, 10_000))

    def wrapped(*args, **kwargs):
        if next(count) == call:
            terminate()
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


@pytest.fixture(scope="module", autouse=True)
def few_rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor, "PER_CLASS", 2)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    from repdiag.training.assembly import resolve_settings
    from tests.unit.training.conftest import OVERRIDES

    out = tmp_path_factory.mktemp("undisturbed") / "run"
    torch.set_num_threads(1)
    settings = resolve_settings(None, data="digits", overrides=[*OVERRIDES, *WARM])
    last = train(settings, out, device="cpu", measure=measure)
    return read_native(last)["digest"], (out / "history.csv").read_bytes()


PHASES = {
    "assembly": (loop, "assemble", 1, 1),
    "first batch": (TrainLoader, "batches", 1, 1),
    "warm-up step": (Stepper, "take", 2, 2),
    "evaluation": (monitor, "extract", 1, 3),
    "save of the start": (native, "write_atomic", 1, 1),
    "save": (native, "write_atomic", 2, 3),
    "fsync": (os, "fsync", 9, None),
}


@pytest.mark.parametrize("phase", PHASES)
def test_sigterm(phase, tiny, tmp_path, monkeypatch, undisturbed):
    owner, name, call, step = PHASES[phase]
    with monkeypatch.context() as patch:
        before(patch, owner, name, call)
        with pytest.raises(StoppedError):
            train(tiny(*WARM), tmp_path / "run", device="cpu", measure=measure)
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    saved = json.loads(read_native(last)["progress"])["step"]
    assert saved == step or (step is None and saved < 6)
    train(tiny(*WARM), tmp_path / "run", device="cpu", measure=measure)
    assert (read_native(last)["digest"], (tmp_path / "run" / "history.csv").read_bytes()) == undisturbed


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_sigterm_while_the_network_is_compiled(tiny, tmp_path, monkeypatch):
    jaxtyping.config.update("jaxtyping_disable", True)  # dynamo cannot trace the checks that only tests make
    compiled = []

    def backend(graph, examples):
        if not compiled:
            terminate()
        compiled.append(graph)
        return graph.forward

    compile_in_place = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_in_place(self, backend=backend))
    with pytest.raises(StoppedError):
        train(tiny("loop.compile=true"), tmp_path / "run", device="cpu")
    assert compiled
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    assert json.loads(read_native(last)["progress"])["step"] == 1
    train(tiny("loop.compile=true"), tmp_path / "run", device="cpu")
    assert json.loads(read_native(last)["progress"])["step"] == 15
    torch._dynamo.reset()
    jaxtyping.config.update("jaxtyping_disable", False)
