"""A run's directory is the run's alone: what somebody else put there is never taken for a run, and never deleted."""

import json
from pathlib import Path

import pytest

from repdiag.core.errors import UsageError
from repdiag.core.files import write_json, write_text
from repdiag.core.folder_record import MARKER
from repdiag.training.run_directory import RunDirectory


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_folder_of_somebody_is_refused_and_untouched(tmp_path):
    write_text(tmp_path / "checkpoints" / "last.pt", "weights of another framework")
    write_text(tmp_path / "thesis.tex", "thesis")
    before = names(tmp_path)
    with pytest.raises(UsageError, match="did not write"), RunDirectory(tmp_path):
        pass
    assert names(tmp_path) == before


def test_a_result_is_no_run(tmp_path):
    write_json(tmp_path / "run.json", {"schema_version": 2, "kind": "analyze"})
    with pytest.raises(UsageError, match="not the directory of a training run"), RunDirectory(tmp_path):
        pass


@pytest.mark.parametrize("there", [True, False])
def test_a_run_that_comes_to_nothing_leaves_nothing(tmp_path, there):
    out = tmp_path / "run"
    if there:
        out.mkdir()
    with RunDirectory(out):
        assert (out / ".lock").is_file()
    assert (names(out) if there else out.exists()) == (set() if there else False)


def test_a_new_run_takes_the_old_one_away_and_leaves_what_is_not_of_it(tmp_path):
    record = {"schema_version": 1, "kind": "train"}
    for name in ("checkpoints/last.pt", "checkpoints/epoch_0003.pt", "checkpoints/mine.pt", "history.csv", "notes.txt"):
        write_text(tmp_path / name, name)
    write_json(tmp_path / "run.json", record)
    analysis = {"schema_version": 2, "kind": "analyze", "files": {"metrics.csv": "0"}}
    write_json(tmp_path / "analysis" / "last" / "run.json", analysis)
    write_text(tmp_path / "analysis" / "last" / "metrics.csv", "of the old weights")
    with RunDirectory(tmp_path) as run:
        run.clear()
    assert names(tmp_path) == {"analysis", "checkpoints", "checkpoints/mine.pt", "notes.txt", MARKER}
    assert json.loads((tmp_path / MARKER).read_text()) == record
