"""A finished run in MLflow and W&B: stand-ins that take only what the real clients take."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from repdiag.core.errors import DependencyError, StoreError, UsageError
from repdiag.core.files import write_json
from repdiag.core.metric_table import MetricRow, MetricTable, Role
from repdiag.diagnosis.diagnose import judge
from repdiag.integrations import mlflow as to_mlflow
from repdiag.integrations import wandb as to_wandb
from repdiag.integrations.tracking import scalars_of, tracked


def _row(
    metric: str, value: float | None, *, checkpoint: str = "small", role: Role = "trained", **params: object
) -> MetricRow:
    return MetricRow(
        checkpoint=checkpoint,
        role=role,
        dataset="digits",
        split="val",
        space="features",
        metric=metric,
        version=1,
        params=params,
        value=value,
        ci_low=None if value is None else value - 0.1,
        ci_high=None if value is None else value + 0.1,
        n=100,
        reason=None if value is not None else "no views",
    )


TABLE = MetricTable((_row("uniformity", -2.5, t=2.0), _row("knn_accuracy", 0.5, k=20, top=1), _row("alignment", None)))
NAMES = {"val/features/uniformity/t-2.0", "val/features/knn_accuracy/k-20_top-1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "my run"
    (run / "figures").mkdir(parents=True)
    TABLE.to_frame().to_parquet(run / "metrics.parquet", index=False)
    for name in ("metrics.csv", "figures/plane.png"):
        (run / name).write_text("x", "utf-8")
    write_json(run / "verdict.json", judge(TABLE).to_dict())
    write_json(run / "run.json", {"kind": "analyze"})
    (run / "embeddings").mkdir()
    return run


def test_scalars_name_split_space_metric_and_settings_and_leave_out_what_is_null() -> None:
    found = scalars_of(TABLE)
    assert set(found) == {f"{name}{end}" for name in NAMES for end in ("", ".low", ".high")}
    assert found["val/features/uniformity/t-2.0"] == -2.5
    assert found["val/features/knn_accuracy/k-20_top-1.high"] == 0.6


def test_several_checkpoints_come_first_and_odd_characters_become_underscores() -> None:
    both = TABLE + MetricTable((_row("uniformity", -1.0, checkpoint="a/b: <c>", t=2.0),))
    assert "a_b___c_/val/features/uniformity/t-2.0" in scalars_of(both)
    assert all(re.fullmatch(r"[\w./-]+", name) for name in scalars_of(both))


def test_the_untrained_copy_is_not_a_second_checkpoint() -> None:
    found = scalars_of(
        TABLE + MetricTable((_row("uniformity", -1.0, checkpoint="small (untrained)", role="untrained", t=2.0),))
    )
    assert found["untrained/val/features/uniformity/t-2.0"] == -1.0
    assert set(found) > NAMES


def test_files_are_the_small_ones_that_are_there(folder: Path) -> None:
    found = tracked(folder)
    assert [path.name for path in found.files] == ["metrics.csv", "verdict.json", "run.json", "figures"]
    assert found.tags["repdiag/over_clustering"] == "inconclusive"
    with pytest.raises(StoreError):
        tracked(folder / "embeddings")


class _MLflow(ModuleType):
    """The part of mlflow's fluent interface that is used; names and values are checked as its server checks them."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.metrics: dict[str, tuple[float, int | None]] = {}
        self.tags: dict[str, str] = {}
        self.artifacts: list[tuple[str, str | None]] = []

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        assert all(re.fullmatch(r"[/\w.\- :]*", name) and isinstance(value, float) for name, value in metrics.items())
        self.metrics |= {name: (value, step) for name, value in metrics.items()}
        folders = {name.rpartition("/")[0] for name in self.metrics}
        assert not folders & set(self.metrics)  # its store on disk makes a file of every name

    def set_tags(self, tags: Mapping[str, str]) -> None:
        assert all(re.fullmatch(r"[/\w.\- :]*", name) for name in tags)
        self.tags |= tags

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        assert Path(local_path).is_file()
        self.artifacts.append((Path(local_path).name, artifact_path))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        assert Path(local_dir).is_dir()
        self.artifacts.append((Path(local_dir).name, artifact_path))


def test_mlflow_gets_values_verdicts_and_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = _MLflow()
    monkeypatch.setitem(sys.modules, "mlflow", client)
    to_mlflow.log_run(folder, step=3)
    assert client.metrics["val/features/uniformity/t-2.0"] == (-2.5, 3)
    assert client.tags["repdiag/overfitting"] == "inconclusive"
    assert ("figures", "repdiag/figures") in client.artifacts
    assert ("metrics.csv", "repdiag") in client.artifacts
    to_mlflow.log_table(MetricTable((_row("uniformity", -3.0, t=2.0),)), step=4)
    assert client.metrics["val/features/uniformity/t-2.0"] == (-3.0, 4)


class _Artifact:
    def __init__(self, name: str, **described: str) -> None:
        assert re.fullmatch(r"[\w.-]+", name)
        self.name, self.kind, self.content = name, described["type"], list[str]()

    def add_file(self, local_path: str, name: str | None = None) -> None:
        assert Path(local_path).is_file()
        self.content.append(str(name))

    def add_dir(self, local_path: str, name: str | None = None) -> None:
        assert Path(local_path).is_dir()
        self.content.append(str(name))


def test_wandb_gets_values_verdicts_and_one_artifact(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[dict[str, float], int | None]] = []
    artifacts: list[_Artifact] = []
    run = SimpleNamespace(
        log=lambda values, step=None: logged.append((values, step)), summary={}, log_artifact=artifacts.append
    )
    client: Any = ModuleType("wandb")
    client.run, client.Artifact = None, _Artifact
    monkeypatch.setitem(sys.modules, "wandb", client)
    with pytest.raises(UsageError, match="no W&B run is active"):
        to_wandb.log_run(folder)
    client.run = run
    to_wandb.log_run(folder, step=3)
    assert logged[0][0]["val/features/uniformity/t-2.0"] == -2.5
    assert logged[0][1] == 3
    assert run.summary["repdiag/collapse"] == "inconclusive"
    assert [(one.name, one.kind, one.content) for one in artifacts] == [
        ("my_run", "repdiag", ["metrics.csv", "verdict.json", "run.json", "figures"])
    ]
    to_wandb.log_table(TABLE, run=run)
    assert logged[1][1] is None


@pytest.mark.parametrize(("door", "name"), [(to_mlflow, "mlflow"), (to_wandb, "wandb")])
def test_an_absent_client_is_named_with_how_to_get_it(
    door: Any, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=name) as caught:
        door.log_run(folder)
    assert f"repdiag[{name}]" in str(caught.value)
