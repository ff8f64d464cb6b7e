"""Weights & Biases: a finished run, or a table in the middle of a training, in a W&B run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from repdiag.core.errors import DependencyError, UsageError
from repdiag.core.metric_table import MetricTable
from repdiag.integrations.tracking import scalars_of, tracked


def log_run(folder: str | Path, *, run: Any = None, step: int | None = None) -> None:
    """Log a finished analysis or comparison: values, verdicts in the summary, everything else as one artifact.

    `run` is what `wandb.init` returned; by default the active one.
    """
    wandb = _wandb()
    run = _active(wandb, run)
    found = tracked(Path(folder))
    run.log(dict(found.scalars), step=step)
    run.summary.update(dict(found.tags))
    artifact = wandb.Artifact(re.sub(r"[^A-Za-z0-9_.-]", "_", found.name), type="repdiag")
    for path in found.files:
        if path.is_dir():
            artifact.add_dir(str(path), name=path.name)
        else:
            artifact.add_file(str(path), name=path.name)
    run.log_artifact(artifact)


def log_table(table: MetricTable, *, run: Any = None, step: int | None = None) -> None:
    """Log the values of a table, such as one of `RepresentationMonitor`."""
    _active(_wandb(), run).log(scalars_of(table), step=step)


def _active(wandb: Any, run: Any) -> Any:
    active = wandb.run if run is None else run
    if active is None:
        raise UsageError("no W&B run is active", hint="call wandb.init() first, or pass run=")
    return active


def _wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise DependencyError("logging to W&B needs wandb", hint="pip install 'repdiag[wandb]'") from error
    return wandb
