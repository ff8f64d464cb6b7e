"""`repdiag probe`: the answer first, one row a measure, paired tests of several checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from repdiag.cli.probe import probe
from repdiag.core.errors import UsageError
from repdiag.downstream.presets import PRESETS


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two networks for digits with fresh weights."""
    import torch

    from repdiag.models.backbones import build_backbone

    folder = tmp_path_factory.mktemp("encoders")
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build_backbone("resnet20", image_size=8)
        paths.append(str(folder / f"net{seed}.pth"))
        torch.save(network.state_dict(), paths[-1])
    return paths


def test_the_answer_comes_first_and_two_encoders_are_tested_on_the_same_images(
    untrained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    plain = {"limit": 200, "image_size": 8, "no_cache": True, "device": "cpu"}
    probe(checkpoints=untrained, data="digits", protocol="linear,knn", out=out, **plain)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("net0: ")
    assert "of test images right, by linear (version 1)" in said[0]
    assert sum("after Holm" in line for line in said) == 2
    table = pd.read_parquet(out / "metrics.parquet")
    assert table.groupby(["checkpoint", "metric"]).size().to_dict() == {
        (name, metric): 2 for name in ("net0", "net1") for metric in ("linear", "knn")
    }
    assert json.loads(table["extra"][0])["batch_norm"].startswith("running statistics")
    rows = pd.read_parquet(out / "per_row.parquet")
    linear = rows[(rows["metric"] == "linear") & (rows["checkpoint"] == "net0")]
    assert linear["value"].mean() == pytest.approx(table["value"][0])
    assert len(pd.read_csv(out / "paired_probes.csv")) == 2
    record = json.loads((out / "run.json").read_text("utf-8"))
    assert record["kind"] == "probe"
    assert set(record["protocols"]) == {"linear", "knn"}
    with pytest.raises(UsageError, match="already holds a result"):
        probe(checkpoints=untrained, data="digits", out=out, **plain)


def test_protocols_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    probe(list_all=True, as_json=True)
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == [protocol.name for protocol in PRESETS]
    probe(show="kornblith", as_json=True)
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert len(settings["penalties"]) == 45
    assert settings["penalties"][0] == pytest.approx(1e-6)
    assert settings["penalties"][-1] == pytest.approx(1e5)
    assert (settings["rows"], settings["loss"], settings["crop"]) == ("raw", "sum", "whole")


def test_what_cannot_be_meant_is_said() -> None:
    with pytest.raises(UsageError, match="nothing to evaluate"):
        probe()
    with pytest.raises(UsageError) as caught:
        probe(checkpoints=["x.pth"], protocol="linaer")
    assert "linear" in str(caught.value.hint)
