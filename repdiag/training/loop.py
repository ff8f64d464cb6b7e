"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from repdiag.config.training import TrainSettings
from repdiag.core.distributed.world import World, join_world
from repdiag.core.errors import RepdiagError, StoppedError, TrainingError
from repdiag.core.memory import keep_freed_memory
from repdiag.methods.base import Clock, Method
from repdiag.methods.seed import Teacher
from repdiag.training.assembly import GivenParts, assemble
from repdiag.training.compute import Compute, choose_compute
from repdiag.training.event_log import EventLog
from repdiag.training.history import History
from repdiag.training.monitor import Measure, Monitor, make_monitor
from repdiag.training.optimizers import memory_of
from repdiag.training.progress import Progress, SilentProgress
from repdiag.training.run_directory import RunDirectory, Status
from repdiag.training.run_state import seed_everything
from repdiag.training.saver import Saver
from repdiag.training.signals import StopRequest
from repdiag.training.starting_point import initialize_from
from repdiag.training.step import rates_at

Resume = Literal["auto", "never"]


def train(
    settings: TrainSettings,
    out: Path,
    *,
    resume: Resume = "auto",
    device: str = "auto",
    progress: Progress | None = None,
    teacher: Teacher | None = None,
    measure: Measure | None = None,
    given: GivenParts | None = None,
) -> Path:
    """Train in the directory `out` and return the path of the last checkpoint.

    With `resume="auto"` a run that was stopped, killed or that found a full disk goes on where its newest whole
    checkpoint stands and ends, on the CPU, with the very bits of an uninterrupted run. Raises `StoppedError` after the
    step in flight, saved, when SIGTERM or SIGINT asks for it; `run.json` then says "interrupted". Raises
    `TrainingError` when the loss is not finite or memory runs out, `StoreError` when a file cannot be written; the last
    good checkpoint stays. `teacher` maps normalised images to embeddings, for distillation; without it the checkpoint
    in `method.teacher` is loaded. `measure` gets embeddings of val and train every `loop.monitor_every_epochs` epochs;
    its tables go to monitor/. `given` brings images and a method along, such as an encoder with a classifier on top.
    """
    compute = choose_compute(settings.loop, device=device)
    if compute.device.type == "cpu":
        keep_freed_memory()
    with (
        join_world(on_gpu=compute.device.type == "cuda") as world,
        StopRequest() as stop,
        RunDirectory(Path(out), writes=world.is_first) as directory,
    ):
        shown = progress if progress is not None and world.is_first else SilentProgress()
        parts = {"teacher": teacher, "given": given}
        run = _Run(settings, directory, compute=compute, world=world, progress=shown, stop=stop, **parts)
        try:
            run.restore(resume)
            run.watch(measure)
            with compute.rules(threads=run.state.threads), run.saver:
                status = run.steps(stop)
                run.saver.wait()
        except (RepdiagError, KeyboardInterrupt) as error:
            directory.end("failed", step=run.state.step, problem=str(error) or type(error).__name__)
            raise
        finally:
            run.events.close()
            shown.close()
        directory.end(status, step=run.state.step)
        if status == "interrupted":
            raise _stopped(directory, step=run.state.step)
        return directory.checkpoints.last


@dataclass(frozen=True)
class _Due:
    """What is to be done after a step."""

    log: bool
    save: bool
    stop: bool
    end_of_epoch: bool


class _Run:
    """The parts of a run and the places where it writes."""

    def __init__(
        self,
        settings: TrainSettings,
        directory: RunDirectory,
        *,
        compute: Compute,
        world: World,
        progress: Progress,
        stop: StopRequest,
        teacher: Any = None,
        given: Any = None,
    ) -> None:
        self.directory, self.compute, self.world, self.progress = directory, compute, world, progress
        self.parts = assemble(
            settings,
            compute=compute,
            world=world,
            teacher=teacher,
            tell=progress.message,
            stop=lambda: stop.requested,
            given=given,
        )
        self.state = self.parts.state
        self.monitor: Monitor | None = None
        self.events = EventLog()
        self.saver = Saver(directory.checkpoints, beside=compute.device.type != "cpu")
        self._saved_at = time.monotonic()

    def restore(self, resume: Resume) -> None:
        """Continue from the newest whole checkpoint, or write the one that the run starts from."""
        files = self.directory.checkpoints
        if resume == "never" and self.world.is_first:
            self.directory.clear()
        self.world.wait()
        found = files.newest()
        self.world.wait()
        start = self.parts.settings.initialize_from
        if found is not None:
            self.state.restore(found.payload)
            self.progress.message(self._where())
        elif start is not None:
            self.progress.message(f"starting from {initialize_from(self.state.method, Path(start))} of {start}")
        if self.world.is_first:
            if found is None:
                loop, epochs = self.parts.settings.loop, self.parts.settings.schedule.epochs
                kept = epochs // loop.keep_every_epochs if loop.keep_every_epochs is not None else 0
                files.save_initial(self.state.payload(), growth=memory_of(self.state.optimizer), kept=kept)
            elif found.damaged:
                went_on = f"resuming from {found.path.name}, step {self.state.step}"
                self.progress.message("\n".join([*found.damaged, went_on]))
            files.tidy(last_is_damaged=bool(found and found.damaged))
        self.parts.stepper.runner = self.world.wrap(self.state.method)
        facts = {
            "device": str(self.compute.device),
            "threads": self.state.threads,
            "processes": self.world.size,
            "dataset_fingerprint": self.state.dataset_fingerprint,
            "steps_per_epoch": self.state.steps_per_epoch,
        }
        self.directory.begin(self.parts.settings, step=self.state.step, facts=facts)

    def _where(self) -> str:
        """Say where a run that was stopped goes on."""
        step, steps = self.state.step, self.state.steps_per_epoch * self.parts.settings.schedule.epochs
        return (
            f"continuing at step {step} of {steps}"
            if step < steps
            else f"nothing left to do: all {steps} steps are done"
        )

    def watch(self, measure: Measure | None) -> None:
        """Open what follows the run beside its history: TensorBoard events and the monitor."""
        settings, path = self.parts.settings, self.directory.path
        if settings.loop.tensorboard and self.world.is_first:
            self.events = EventLog(path / "tensorboard", resume_step=self.state.step)
        if measure is not None:
            self.monitor = make_monitor(settings, path / "monitor", measure=measure, device=str(self.compute.device))

    def steps(self, stop: StopRequest) -> Status:
        """Take all steps that are left."""
        parts, state, loop = self.parts, self.state, self.parts.settings.loop
        per_epoch, epochs = state.steps_per_epoch, parts.settings.schedule.epochs
        history = History(self.directory.history, resume_step=state.step, writes=self.world.is_first)
        self.progress.start(step=state.step, total_steps=per_epoch * epochs, batch_size=loop.batch_size)
        state.method.train()
        for epoch in range(state.step // per_epoch, epochs):
            if self._measure(epoch, stop) == "interrupted":
                return "interrupted"
            for batch in parts.loader.batches(epoch, start=state.step % per_epoch):
                clock = Clock(state.step, per_epoch * epochs, per_epoch)
                seed_everything(loop.seed, state.step, self.world.rank)
                loss, logs = parts.stepper.take(parts.stepper.prepare(batch, parts.labels), clock)
                state.step += 1
                state.meters.add(loss, logs, step=state.step)

                due = self._due(stop)
                if due.log or due.save or self.compute.device.type == "cpu":
                    self._check_loss()  # waits for the device, so not after every step on a GPU
                if due.log:
                    self._log(history, clock)
                if due.save:
                    self._save(end_of_epoch=due.end_of_epoch)
                if due.stop:
                    self.progress.message(f"{stop.signal_name}: saved after step {state.step}, ending")
                    return "completed" if state.step == clock.total_steps else "interrupted"
        return self._measure(epochs, stop)

    def _measure(self, epoch: int, stop: StopRequest) -> Status:
        """Hand the embeddings after `epoch` epochs to the monitor, if the run stands there and it is due."""
        stands_there = epoch > 0 and self.state.step == epoch * self.state.steps_per_epoch
        if self.monitor is not None and self.world.is_first and stands_there and self.monitor.is_due(epoch):
            self.saver.wait()
            self.monitor.run(self.directory.checkpoints.last, epoch=epoch, stop=lambda: stop.requested)
            return "interrupted" if self.monitor.is_due(epoch) else "completed"
        return "completed"

    def _due(self, stop: StopRequest) -> _Due:
        loop, step = self.parts.settings.loop, self.state.step
        end_of_epoch = step % self.state.steps_per_epoch == 0
        log = end_of_epoch or step % loop.log_every == 0
        seconds = loop.save_every_seconds
        late = seconds is not None and time.monotonic() - self._saved_at >= seconds
        stop_now = stop.requested
        if self.world.size > 1:  # clocks and signals differ between processes; they agree at logging intervals
            stop_now, late = (log and bool(self.world.agree(int(flag))) for flag in (stop_now, late))
        steps = loop.save_every_steps
        save = end_of_epoch or stop_now or late or (steps is not None and step % steps == 0)
        return _Due(log, save, stop_now, end_of_epoch)

    def _check_loss(self) -> None:
        bad_step = self.world.agree(self.state.meters.first_bad_step() or 0)
        if bad_step:
            raise _diverged(f"the loss is not finite at step {bad_step}", self.directory)

    def _log(self, history: History, clock: Clock) -> None:
        self.state.meters.share(self.world.average)
        means = self.state.meters.means()
        self.state.meters.reset()
        lr = rates_at(clock, self.parts.settings).lr
        history.append({"step": self.state.step, "epoch": clock.epoch, "lr": lr, **means})
        self.events.add({"lr": lr, **means}, step=self.state.step)
        self.progress.update(step=self.state.step, epoch=clock.epoch, values=means)

    def _save(self, *, end_of_epoch: bool) -> None:
        self._saved_at = time.monotonic()
        self.state.meters.share(self.world.average)
        if not self.world.is_first:
            return
        if not _is_finite(self.state.method):
            raise _diverged(f"the weights are not finite after step {self.state.step}", self.directory)
        epoch = self.state.step // self.state.steps_per_epoch
        every = self.parts.settings.loop.keep_every_epochs
        keep = epoch if end_of_epoch and every is not None and epoch % every == 0 else None
        self.saver.save(self.state.payload(), keep_epoch=keep)


def _stopped(directory: RunDirectory, *, step: int) -> StoppedError:
    return StoppedError(
        f"{directory.path} was stopped before its end",
        found=f"all of its {step} steps until then are in {directory.checkpoints.last}",
        hint=f"repdiag train --resume {directory.path} continues it",
    )


def _diverged(problem: str, directory: RunDirectory) -> TrainingError:
    return TrainingError(
        problem,
        found=f"the last good checkpoint is kept in {directory.checkpoints.folder}",
        hint="lower optimizer.lr, add schedule.warmup_epochs, or set loop.precision=fp32",
    )


def _is_finite(method: Method) -> bool:
    norms = torch._foreach_norm([weight.detach() for weight in method.parameters()])
    return bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all())
