"""MLflow: a finished run, or a table in the middle of a training, in the active run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repdiag.core.errors import DependencyError
from repdiag.core.metric_table import MetricTable
from repdiag.integrations.tracking import scalars_of, tracked


def log_run(folder: str | Path, *, step: int | None = None) -> None:
    """Log a finished analysis or comparison: values, verdicts as tags, tables, figures and the report as artifacts.

    It goes to the active MLflow run; without one MLflow starts one, as it does for its own functions.
    """
    mlflow = _mlflow()
    found = tracked(Path(folder))
    mlflow.log_metrics(dict(found.scalars), step=step)
    mlflow.set_tags(dict(found.tags))
    for path in found.files:
        if path.is_dir():
            mlflow.log_artifacts(str(path), artifact_path=f"repdiag/{path.name}")
        else:
            mlflow.log_artifact(str(path), artifact_path="repdiag")


def log_table(table: MetricTable, *, step: int | None = None) -> None:
    """Log the values of a table, such as one of `RepresentationMonitor`."""
    _mlflow().log_metrics(scalars_of(table), step=step)


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise DependencyError("logging to MLflow needs mlflow", hint="pip install 'repdiag[mlflow]'") from error
    return mlflow
