"""`repdiag train --resume`: a run goes on by its own settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repdiag.cli.console import Console
from repdiag.config.training import TrainSettings
from repdiag.core.errors import ConfigError, StoppedError, UsageError
from repdiag.training.assembly import resolve_settings
from repdiag.training.loop import train
from repdiag.training.progress import Messages
from repdiag.workflows import train as training
from repdiag.workflows.train import TrainRequest, run_training


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainSettings, Path, str]]:
    """Stand in for the training itself; collect what it would be given."""
    given: list[tuple[TrainSettings, Path, str]] = []

    def train(settings: TrainSettings, out: Path, *, resume: str, **options: object) -> Path:
        given.append((settings, out, resume))
        return out / "checkpoints" / "last.pt"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("repdiag.training.loop.train", train)
    return given


def begin(folder: Path, *overrides: str, status: str = "running", kind: str = "train") -> TrainSettings:
    settings = resolve_settings("simclr", data="digits", overrides=list(overrides))
    folder.mkdir(parents=True)
    record = {"kind": kind, "status": status, "config": settings.model_dump(mode="json")}
    (folder / "run.json").write_text(json.dumps(record), "utf-8")
    return settings


def test_auto_goes_on_with_the_last_run_by_its_own_settings(asked: list[tuple[TrainSettings, Path, str]]) -> None:
    settings = begin(training.RUNS / "mine", "schedule.epochs=12", "backbone.name=resnet18", "views.iou=[0.1,0.5]")
    begin(training.RUNS / "whole-1", status="completed")
    begin(training.RUNS / "compare", kind="compare")
    run_training(TrainRequest(resume="auto"), Console(quiet=True))
    assert asked == [(settings, training.RUNS / "mine", "auto")]


@pytest.mark.parametrize("word", ["kept", "kept/checkpoints/last.pt"])
def test_a_run_that_is_named_goes_on_by_its_own_settings(
    asked: list[tuple[TrainSettings, Path, str]], word: str
) -> None:
    settings = begin(Path("kept"), "schedule.epochs=12")
    run_training(TrainRequest(resume=word, epochs=12), Console(quiet=True))
    assert asked == [(settings, Path("kept"), "auto")]


@pytest.mark.parametrize("beside", [{}, {"monitor": 1}, {"device": "cpu"}])
def test_auto_alone_with_nothing_unfinished_says_so_and_trains_nothing(
    asked: list[tuple[TrainSettings, Path, str]], beside: dict[str, Any]
) -> None:
    begin(training.RUNS / "whole-1", status="completed")
    with pytest.raises(UsageError, match="nothing to resume: no unfinished training in runs/") as caught:
        run_training(TrainRequest(resume="auto", **beside), Console())
    assert caught.value.exit_code == 2
    assert asked == []


@pytest.mark.parametrize("beside", [{"recipe": "digits_moco_v2"}, {"seed": 3}, {"limit": 64}])
def test_auto_starts_the_run_that_is_described_where_it_has_not_begun(
    asked: list[tuple[TrainSettings, Path, str]], capsys: pytest.CaptureFixture[str], beside: dict[str, Any]
) -> None:
    begin(training.RUNS / "whole-1", status="completed")
    run_training(TrainRequest(resume="auto", **beside), Console())
    assert "no unfinished run" in capsys.readouterr().out
    (settings, out, _), *_ = asked
    assert settings.recipe == "digits_moco_v2"
    assert out == training.RUNS / "digits_moco_v2-resnet20-digits-1"


def test_a_stop_before_the_first_step_says_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    request = TrainRequest(limit=40, epochs=1, out=out, resume="auto")
    with monkeypatch.context() as patch:
        patch.setattr("repdiag.training.opened.open_dataset", interrupt)
        with pytest.raises(StoppedError, match="before the first step\n  found: nothing was saved"):
            run_training(request, Console(quiet=True))
    with monkeypatch.context() as patch:
        patch.setattr("repdiag.training.loop.assemble", interrupt)
        with pytest.raises(StoppedError, match="before the first step\n  found: nothing was saved"):
            run_training(request, Console(quiet=True))
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr("repdiag.training.loop.History", interrupt)
        with pytest.raises(StoppedError, match="without any step") as caught:
            run_training(request, Console(quiet=True))
    assert caught.value.exit_code == 130
    assert f"repdiag train --resume {out} continues it" in str(caught.value)


def test_a_run_that_goes_on_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    settings = resolve_settings(None, data="digits", epochs=2, batch_size=16, values={"data.limit": 40})
    train(settings, out, device="cpu")
    train(settings, out, device="cpu", progress=Messages())
    assert "nothing left to do: all 4 steps are done" in capsys.readouterr().err
    first = out / "checkpoints" / "previous.pt"
    first.rename(out / "checkpoints" / "last.pt")
    train(settings, out, device="cpu", progress=Messages())
    assert "continuing at step 2 of 4" in capsys.readouterr().err


@pytest.mark.parametrize("request_", [TrainRequest(resume="auto", out=Path("mine")), TrainRequest(resume="mine")])
def test_what_is_no_training_is_not_gone_on_with(
    asked: list[tuple[TrainSettings, Path, str]], request_: TrainRequest
) -> None:
    begin(Path("mine"), kind="analyze")
    with pytest.raises(UsageError, match="not the directory of a training run"):
        run_training(request_, Console(quiet=True))
    assert asked == []


def test_overwriting_keeps_the_old_run_until_the_new_one_can_begin(tmp_path: Path) -> None:
    kept = tmp_path / "run" / "checkpoints" / "last.pt"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weeks of work")
    (tmp_path / "run" / "run.json").write_text('{"schema_version": 1, "kind": "train"}')
    begun = TrainRequest(recipe="seed", backbone="resnet20", out=tmp_path / "run", overwrite=True)
    with pytest.raises(ConfigError, match="needs a teacher"):
        run_training(begun, Console(quiet=True))
    assert kept.read_bytes() == b"weeks of work"
