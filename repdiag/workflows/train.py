"""From the words of `repdiag train` to a run: which settings, which directory, whether to go on."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repdiag.core.errors import StoppedError, UsageError
from repdiag.results.places import RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repdiag.config.training import TrainSettings
    from repdiag.workflows.speaking import Speaker


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What the command line asked for; None leaves it to the recipe and the data."""

    recipe: str | None = None
    data: str | None = None
    backbone: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    limit: int | None = None
    out: Path | None = None
    device: str = "cpu"
    seed: int | None = None
    resume: str | None = None
    overrides: tuple[str, ...] = ()
    init_from: str | None = None
    monitor: int | None = None
    tensorboard: bool = False
    download: bool = False
    strict_data: bool = False
    check_content: bool = False
    overwrite: bool = False


def train(
    recipe: str | None = None,
    *,
    data: str | None = None,
    backbone: str | None = None,
    epochs: int | None = None,
    out: str | Path | None = None,
    seed: int | None = None,
    resume: str | None = None,
    settings: Sequence[str] = (),
    progress: bool = False,
    **more: Any,
) -> Path:
    """Train an encoder, and return its last checkpoint. Without arguments: ResNet-20 on the digits with MoCo v2.

    `recipe` is a name from `repdiag train --list`, or a file. `settings` are KEY=VALUE pairs as for --set. `resume` is
    "auto" or the folder of a run. `more` are the other fields of `TrainRequest` (batch_size, limit, device, init_from,
    monitor, tensorboard, download, strict_data, check_content, overwrite).

    Raises `ConfigError` for settings that contradict each other, `UsageError` if `out` already holds a run.

    Example:
        >>> import tempfile
        >>> import repdiag
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     repdiag.train(out=f"{folder}/run", epochs=1, limit=64, settings=["method.queue_size=32"]).name
        'last.pt'
    """
    from repdiag.workflows.speaking import speaker

    request = TrainRequest(
        recipe=recipe,
        data=data,
        backbone=backbone,
        epochs=epochs,
        out=None if out is None else Path(out),
        seed=seed,
        resume=resume,
        overrides=tuple(settings),
        **more,
    )
    return run_training(request, speaker(progress=progress))


def run_training(request: TrainRequest, told: Speaker) -> Path:
    """Train, or go on training, and return the last checkpoint.

    Raises `StoppedError`, which says what is left, where Ctrl-C comes before the first step or for a second time.
    """
    from repdiag.training.opened import opened_once

    out: Path | None = None
    try:
        with opened_once():
            begun = _begun(request)
            settings = _settings(request, begun)
            out = begun or _choose_directory(request, settings)
            return _trained(request, settings, out, told)
    except KeyboardInterrupt as error:
        raise _interrupted(out) from error


def _settings(request: TrainRequest, begun: Path | None) -> TrainSettings:
    from repdiag.training.assembly import resolve_settings
    from repdiag.training.opened import open_split

    settings = resolve_settings(
        request.recipe,
        data=request.data,
        backbone=request.backbone,
        epochs=request.epochs,
        batch_size=request.batch_size,
        seed=request.seed,
        values=_values(request),
        overrides=list(request.overrides),
        stored=None if begun is None else _record(begun).get("config"),
    )
    if request.strict_data or request.check_content:
        open_split(settings, "train", strict=request.strict_data, check_content=request.check_content)
    return settings


def _trained(request: TrainRequest, settings: TrainSettings, out: Path, told: Speaker) -> Path:
    from repdiag.training.loop import train
    from repdiag.training.progress import make_progress
    from repdiag.workflows.monitor import telling

    resume: Literal["auto", "never"] = "never" if request.resume is None else "auto"
    if resume == "auto" and request.out is None and not _has_run(out):
        told.say("no unfinished run to continue: starting a new run")
    told.say(f"{settings.recipe}: {settings.backbone.name} on {settings.data.dataset}, run {out}")
    progress = make_progress(enabled=told.progress, quiet=told.quiet)
    watched = telling(progress.message) if request.monitor is not None else None
    return train(settings, out, resume=resume, device=request.device, progress=progress, measure=watched)


def _values(request: TrainRequest) -> dict[str, Any]:
    """Return the settings of the options that have no name of their own in `resolve_settings`, as they were typed."""
    named = {
        "initialize_from": request.init_from,
        "loop.monitor_every_epochs": request.monitor,
        "data.limit": request.limit,
        "loop.tensorboard": request.tensorboard or None,
        "data.download": request.download or None,
    }
    return {key: value for key, value in named.items() if value is not None}


def _interrupted(out: Path | None) -> StoppedError:
    """Say what a stop leaves that was not waited for: nothing, or a run up to its last save."""
    if out is None or not any((out / "checkpoints").glob("*.pt")):
        return StoppedError(
            "stopped before the first step", found="nothing was saved", hint="run the same command again"
        )
    step = _record(out).get("step", 0)
    if not step:
        found = f"{out} holds the initial weights of the run, without any step"
    else:
        found = f"{out} holds the last saved state of the run, from within the {step} steps that it had taken"
    hint = f"repdiag train --resume {shlex.quote(str(out))} continues it"
    return StoppedError("stopped without waiting for the step in flight", found=found, hint=hint)


def _begun(request: TrainRequest) -> Path | None:
    """Return the run to go on with by its own settings, if one is meant: named, or the last one when nothing is."""
    if request.resume is None:
        return None
    if request.resume == "auto":
        if request.out is not None:
            return _a_training(request.out) if _has_run(request.out) else None
        if not _is_alone(request):
            return None
        if (newest := _unfinished("*")) is None:
            raise UsageError(
                f"nothing to resume: no unfinished training in {RUNS}/",
                hint="repdiag train starts one; --resume RUN continues another",
            )
        return newest
    path = Path(request.resume)
    folder = path.parent.parent if path.parent.name == "checkpoints" else path
    if not _has_run(folder):
        raise UsageError(
            f"nothing to resume at {path}",
            hint="give auto, a run directory or a checkpoint in one; --init-from takes any checkpoint",
        )
    return _a_training(folder)


def _is_alone(request: TrainRequest) -> bool:
    """Say whether nothing is asked for that a new run could be made of."""
    asked = ("recipe", "data", "backbone", "epochs", "batch_size", "limit", "seed", "init_from")
    return all(getattr(request, name) is None for name in asked) and not request.overrides


def _a_training(folder: Path) -> Path:
    if not _is_training(folder):
        found = f"kind {_record(folder)['kind']} in its run.json"
        raise UsageError(
            f"{folder} is not the directory of a training run", found=found, hint="give the --out of the training run"
        )
    return folder


def _choose_directory(request: TrainRequest, settings: TrainSettings) -> Path:
    """Return where to run; never silently over another run."""
    if request.resume is not None:
        return request.out or _unfinished(f"{_stem(settings)}-*") or _new_directory(settings)
    out = request.out or _new_directory(settings)
    if _has_run(out) and not request.overwrite:
        raise UsageError(f"{out} already holds a run", hint="--resume auto continues it, --overwrite starts again")
    return out


def _stem(settings: TrainSettings) -> str:
    data = settings.data.dataset.partition(":")
    name = Path(data[2]).name if data[2] else data[0]
    return f"{settings.recipe}-{settings.backbone.name.replace('/', '_').replace(':', '-')}-{name}"


def _new_directory(settings: TrainSettings) -> Path:
    stem, number = _stem(settings), 1
    while (RUNS / f"{stem}-{number}").exists():
        number += 1
    return RUNS / f"{stem}-{number}"


def _unfinished(pattern: str) -> Path | None:
    """Return the newest training run of such a name that did not reach its end."""
    found = [path for path in RUNS.glob(pattern) if _has_run(path) and not _is_complete(path) and _is_training(path)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _has_run(folder: Path) -> bool:
    return (folder / "run.json").exists() or any((folder / "checkpoints").glob("*.pt"))


def _is_complete(folder: Path) -> bool:
    return bool(_record(folder).get("status") == "completed")


def _is_training(folder: Path) -> bool:
    return bool(_record(folder).get("kind", "train") == "train")  # analyses and comparisons lie beside them


def _record(folder: Path) -> dict[str, Any]:
    """Return run.json; nothing where it is not there or damaged."""
    try:
        found = json.loads((folder / "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
