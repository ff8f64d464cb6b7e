"""`--reference` and `--fail-on` on the command line, on vectors whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer

from repdiag.checkpoints.read_options import ReadOptions
from repdiag.cli.console import Console
from repdiag.cli.gates import end_with
from repdiag.cli.summary import show_analysis
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import RepdiagError
from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.diagnosis.diagnose import judge
from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space
from repdiag.diagnosis.verdict import Diagnosis
from repdiag.metrics.evaluate import evaluate
from repdiag.workflows.analysis import Analysis
from repdiag.workflows.gates import check_gates, parse_gates
from repdiag.workflows.pairs import held_against_one
from repdiag.workflows.targets import Target, Targets, with_reference
from repdiag.workflows.vectors import analyze_vectors

TABLE = MetricTable(
    (
        MetricRow(
            checkpoint="a",
            dataset="d",
            split="val",
            space="features",
            metric="knn_accuracy",
            version=1,
            value=0.8,
            ci_low=0.75,
            ci_high=0.85,
            n=100,
        ),
    )
)
SMALL = SpaceRecipe(classes=10, per_class=12, dims=16)


def _save(path: Path, space: EmbeddingSet) -> str:
    assert space.labels is not None
    np.savez(path, features=space.features.numpy(), labels=space.labels.numpy())
    return str(path)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("vectors")
    whole = draw_space(SMALL, seed=1)
    noise = torch.randn(len(whole), 16, generator=torch.Generator().manual_seed(0))
    cone = EmbeddingSet(features=whole.features + 100.0, labels=whole.labels)
    return SimpleNamespace(
        whole=_save(folder / "whole.npz", whole),
        noise=_save(folder / "noise.npz", EmbeddingSet(features=noise, labels=whole.labels)),
        fallen=judge(evaluate(cone, ["mean_cosine"])),
        fewer=_save(folder / "fewer.npz", whole.select(range(60))),
    )


def _analyzed(source: str, out: Path, *, reference: str | None = None) -> Analysis:
    beside = None if reference is None else Path(reference)
    found = analyze_vectors(Path(source), None, reference=beside, seed=0, protocol="shi2022")
    found.save(out)
    return found


def test_a_reference_stands_in_the_json_the_verdict_and_the_words(
    stored: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = _analyzed(stored.whole, tmp_path, reference=stored.noise)
    show_analysis(Console(), result, tmp_path, [])
    assert "Classes are better grouped than by the reference noise" in " ".join(capsys.readouterr().out.split())
    verdict = json.loads((tmp_path / "verdict.json").read_text("utf-8"))
    assert [item["against"] for item in verdict["standings"]] == ["reference noise"]
    against = {item["against_what"] for item in verdict["over_clustering"]["evidence"]}
    assert {"reference noise", "permuted labels"} <= against
    assert json.loads((tmp_path / "run.json").read_text("utf-8"))["reference"] == {"source": stored.noise}


def test_a_reference_of_other_rows_is_refused(stored: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(RepdiagError, match="not read on the same rows"):
        _analyzed(stored.whole, tmp_path, reference=stored.fewer)


def results(gates: str | None, diagnosis: Diagnosis, table: MetricTable = TABLE, *, referenced: bool = False) -> list:
    return list(check_gates(parse_gates(gates), diagnosis, table, referenced=referenced))


@pytest.mark.parametrize("gates", ["collapse", "over-clustering,collapse"])
def test_a_gate_ends_with_three_on_what_was_found(
    stored: SimpleNamespace, gates: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        end_with(results(gates, stored.fallen))
    assert ended.value.exit_code == 3
    assert "gate collapse: failed" in capsys.readouterr().err


def test_what_is_open_is_said_and_lets_pass(stored: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert stored.fallen.overfitting.verdict == "inconclusive"
    end_with(results("overfitting", stored.fallen))
    assert "gate overfitting: undecided" in capsys.readouterr().err
    end_with(results(None, stored.fallen))
    assert [item.state for item in results("inconclusive", stored.fallen)] == ["failed"]


@pytest.mark.parametrize(
    ("gate", "state"),
    [
        ("knn_accuracy<0.70", "holds"),
        ("knn_accuracy<0.79", "undecided"),
        ("knn_accuracy<0.81", "failed"),
        ("knn_accuracy.low<0.79", "failed"),
        ("knn_accuracy.high>=0.9", "holds"),
    ],
)
def test_a_number_is_held_against_its_limit_or_an_end_of_its_interval(
    stored: SimpleNamespace, gate: str, state: str
) -> None:
    (found,) = results(gate, stored.fallen)
    assert found.state == state


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("knn_acuracy<0.8", "knn_accuracy"),
        ("knn_accuracy=0.8", "cannot read"),
        ("rankme<3", "was not computed"),
        ("worse-than-reference", "needs a reference"),
    ],
)
def test_a_gate_that_cannot_be_checked_is_refused(stored: SimpleNamespace, gate: str, message: str) -> None:
    with pytest.raises(RepdiagError, match=message):
        results(gate, stored.fallen)


def test_an_unknown_gate_names_the_nearest() -> None:
    with pytest.raises(RepdiagError, match="collapse"):
        parse_gates("colapse")


def _target(path: Path, name: str) -> Target:
    path.write_bytes(b"")
    return Target(name=name, path=path, read_options=ReadOptions())


def test_the_reference_of_a_comparison_is_one_of_its_checkpoints_or_joins_them(tmp_path: Path) -> None:
    first, second = _target(tmp_path / "a.pt", "a"), _target(tmp_path / "b.pt", "b")
    targets = Targets(here=(first, second))
    assert with_reference(targets, "b", download=False) == (targets, "b")
    assert with_reference(targets, str(tmp_path / "a.pt"), download=False) == (targets, "a")
    _target(tmp_path / "c.pt", "c")
    joined, name = with_reference(targets, str(tmp_path / "c.pt"), download=False)
    assert name == "c"
    assert [target.name for target in joined.here] == ["a", "b", "c"]


def test_every_checkpoint_of_a_comparison_is_held_against_its_reference() -> None:
    whole = draw_space(SMALL, seed=1)
    noise = EmbeddingSet(features=torch.randn(120, 16, generator=torch.Generator().manual_seed(0)), labels=whole.labels)
    vals, verdicts = {"small": noise, "large": whole}, {}
    for name, space in vals.items():
        verdicts[name] = json.loads(json.dumps(judge(evaluate(space, ["precision_at_1"])).to_dict()))
    held = held_against_one("large", verdicts, vals, failures={}, seed=0)
    assert [item["verdict"] for item in held["small"]["standings"]] == ["worse grouped"]
    assert held["large"]["standings"] == []
    with pytest.raises(RepdiagError, match="reference could not be analyzed"):
        held_against_one("huge", verdicts, vals, failures={"huge": "no such file"}, seed=0)
