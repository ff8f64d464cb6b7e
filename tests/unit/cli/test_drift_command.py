"""`repdiag drift` on vectors and on encoders: verdict, gates, canary and what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import typer
from torch import nn
from typer.testing import CliRunner

import repdiag
from repdiag.cli.drift import drift
from repdiag.core.errors import DataError, UsageError
from repdiag.workflows.drift import read_pair
from repdiag.workflows.drift_gates import check_drift_gates, junit, parse_drift_gates
from repdiag.workflows.drift_result import save_canary
from repdiag.workflows.options import AnalysisOptions

app = typer.Typer()  # this command alone
app.command()(drift)
LABELS = np.arange(80) % 4
RNG = np.random.default_rng(0)
OLD = 3.0 * np.eye(8)[LABELS] + RNG.normal(size=(80, 8))
NEW = OLD + 0.3 * RNG.normal(size=(80, 8))
NAMES = np.array([f"image {number}.png" for number in range(80)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("drift")
    order = RNG.permutation(80)
    np.savez(folder / "old.npz", features=OLD, labels=LABELS, row_ids=NAMES)
    np.savez(folder / "new.npz", features=NEW[order], labels=LABELS[order], row_ids=NAMES[order])
    return {"old": str(folder / "old.npz"), "new": str(folder / "new.npz"), "folder": str(folder)}


def test_the_command_joins_rows_judges_gates_and_keeps(files: dict[str, str]) -> None:
    out, report = Path(files["folder"]) / "out", Path(files["folder"]) / "drift.xml"
    words = [files["old"], files["new"], "--json", "--fail-on", "neighbors_kept<0.95", "--junit", str(report)]
    done = CliRunner().invoke(app, [*words, "-o", str(out)])
    assert done.exit_code == 3, done.output
    found = json.loads(done.stdout)
    assert found["verdict"] == "same classes, other neighbours"
    assert found == json.loads((out / "drift.json").read_text("utf-8"))
    kept = next(row for row in found["metrics"] if row["metric"] == "neighbors_kept" and row["params"]["k"] == 1)
    assert 0.3 < kept["value"] < 0.9  # row by row in the order of the names, not of the files
    assert {path.name for path in out.iterdir()} >= {"drift.json", "rows.csv", "per_class.csv", "metrics.csv"}
    suite = Xml.fromstring(report.read_text("utf-8"))
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")


def test_the_same_vectors_pass_every_gate(files: dict[str, str]) -> None:
    words = [files["old"], files["old"], "--fail-on", "neighbors_kept<0.95,cross_gallery<0.95"]
    assert CliRunner().invoke(app, words).exit_code == 0


def test_rows_of_other_images_are_refused(files: dict[str, str]) -> None:
    other = Path(files["folder"]) / "other.npz"
    np.savez(other, features=NEW, labels=LABELS, row_ids=[f"other {number}.png" for number in range(80)])
    with pytest.raises(repdiag.errors.RepdiagError, match="not read on the same rows"):
        repdiag.drift(files["old"], other)


def test_gates_name_what_there_is() -> None:
    found = repdiag.drift(OLD, NEW, labels=LABELS)
    texts = "re-index, changed, mutual_knn<0.99, neighbors_kept.high<0.9"
    states = [result.state for result in check_drift_gates(parse_drift_gates(texts), found)]
    assert states[0] == states[2] == states[3] == "failed"
    assert states[1] in ("holds", "undecided")
    assert 'name="same classes, other neighbours"' in junit(found, ())
    for wrong in ("neighbours_kept<0.9", "chnged"):
        with pytest.raises(UsageError, match="did you mean"):
            parse_drift_gates(wrong)
    with pytest.raises(UsageError, match="not a metric of a pair"):
        check_drift_gates(parse_drift_gates("rankme<9"), found)


def test_a_canary_stands_for_the_old_encoder(tmp_path: Path) -> None:
    """The later encoder is run on the images that the canary names, whatever else the data hold."""
    old = repdiag.load_encoder(nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), image_size=16, name="pooled")
    options = AnalysisOptions(data="digits", per_class=6, cache=False)
    sets, _ = read_pair({"old": old}, options)
    canary = tmp_path / "canary.npz"
    save_canary(sets["pooled"], canary)
    found = repdiag.drift(canary, old, data="digits", cache=False, intervals=False)
    assert (found.old, found.verdict, len(found.rows)) == ("canary", "same space", 60)
    upside_down = repdiag.load_encoder(lambda images: images.flip(2).mean(dim=1).flatten(1), image_size=16)
    assert repdiag.drift(canary, upside_down, data="digits", cache=False, intervals=False).verdict != "same space"
    with pytest.raises(UsageError, match="must end in"):
        save_canary(sets["pooled"], tmp_path / "canary.pt")
    strangers = tmp_path / "strangers.npz"
    np.savez(strangers, features=OLD, labels=LABELS, row_ids=NAMES)
    with pytest.raises(DataError, match="rows without an image"):
        repdiag.drift(strangers, old, data="digits", cache=False, intervals=False)


def test_what_is_missing_is_said(files: dict[str, str]) -> None:
    done = CliRunner().invoke(app, [files["old"]])
    assert isinstance(done.exception, UsageError)
    assert "--save-canary" in str(done.exception)
    with pytest.raises(UsageError, match="vectors need no data"):
        repdiag.drift(files["old"], files["new"], data="digits")
