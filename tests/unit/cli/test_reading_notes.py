"""What was done to read vectors is said once on every output: terminal, JSON, run.json and the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from repdiag.cli.analyze import analyze
from repdiag.cli.compare import compare
from repdiag.cli.evaluate import evaluate
from repdiag.core.errors import RepdiagError
from repdiag.workflows.report import build_report

DRAW = np.random.default_rng(0)
LABELS = np.array(["cat", "dog", "fox", "owl"])[np.arange(60) % 4]
ROWS = (DRAW.normal(size=(4, 6))[np.arange(60) % 4] + DRAW.normal(size=(60, 6))).astype(np.float32)
IDS = np.array([f"img_{n:03d}" for n in range(60)])
ORDER = DRAW.permutation(60)
JOINED = "rows of a.parquet and l.csv were joined by id."


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"id": IDS, "openai": list(ROWS), "loss": 0.5}).to_parquet("a.parquet")
    np.savez("b.npz", z=np.tanh(ROWS[ORDER]), ids=IDS[ORDER])
    pd.DataFrame({"id": IDS[ORDER], "species": LABELS[ORDER], "site": ORDER // 10}).to_csv("l.csv", index=False)


@pytest.mark.usefixtures("_files")
def test_an_analysis_says_it_everywhere_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"label_column": "species", "metrics": "r_precision,uniformity", "figures": False, "as_json": True}
    analyze("a.parquet", labels=Path("l.csv"), out=Path("out"), **asked)
    told = capsys.readouterr()
    stored = json.loads(Path("out/run.json").read_text("utf-8"))["notes"]
    assert stored.count(JOINED) == 1
    assert any("left out of a.parquet: loss" in note for note in stored)
    assert json.loads(told.out)["notes"] == stored
    assert told.err.count(JOINED) == 1
    page = build_report(Path("out"), tmp_path / "page.html").read_text("utf-8")
    assert page.count(f"<li>{JOINED}</li>") == 1


@pytest.mark.usefixtures("_files")
def test_vectors_are_compared_by_the_names_of_their_rows(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"labels": Path("l.csv"), "label_column": "species", "metrics": "r_precision", "figures": False}
    compare(["a.parquet", "b.npz"], out=Path("out"), **asked)
    assert capsys.readouterr().out.count(JOINED) == 1
    np.savez("b.npz", z=np.tanh(ROWS), ids=IDS)
    compare(["a.parquet", "b.npz"], out=Path("again"), **asked)
    tables = [pd.read_csv(f"{folder}/metrics.csv").set_index("checkpoint")["value"] for folder in ("out", "again")]
    assert tables[0].to_dict() == tables[1].to_dict()


@pytest.mark.usefixtures("_files")
def test_an_answer_without_any_value_ends_with_1() -> None:
    evaluate(Path("a.parquet"), metrics="uniformity")
    pd.DataFrame({"embedding": list(np.ones((60, 2))), "label": LABELS}).to_parquet("same.parquet")
    with pytest.raises(typer.Exit) as ended:
        evaluate(Path("same.parquet"), metrics="class_distance_ratio")
    assert ended.value.exit_code == 1


@pytest.mark.usefixtures("_files")
def test_what_is_open_is_asked() -> None:
    with pytest.raises(RepdiagError, match=r"species, site[\s\S]*--label-column"):
        analyze("a.parquet", labels=Path("l.csv"))
    with pytest.raises(RepdiagError, match="one bank for each"):
        compare(["a.parquet", "b.npz"], bank=["b.npz"])
    with pytest.raises(RepdiagError, match="checkpoints and vectors cannot be compared"):
        compare(["a.parquet", "model.pth"])
