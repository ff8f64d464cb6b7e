"""A result is whole or not there, whatever happens while it is written; what repdiag did not write stays."""

import contextlib
import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from repdiag.core.errors import StoreError, UsageError
from repdiag.core.files import store_error, write_json, write_text
from repdiag.core.folder_record import MARKER, find_record
from repdiag.results.transaction import added, begun, check_place, filed, recover, replaced
from repdiag.results.verifying import check_files

OLD = {"metrics.csv": "old", "figures/one.png": "old", "per_row.parquet": "old", "verdict.json": "old"}
NEW = {"metrics.csv": "new", "figures/two.png": "new", "embeddings/val/rows.parquet": "new", "verdict.json": "new"}


def fill(folder, files, **record):
    for name, text in files.items():
        write_text(folder / name, text)
    write_json(folder / "run.json", {"schema_version": 2, "kind": "analyze", "what": files["metrics.csv"], **record})


def write(out, files, *, overwrite=True):
    with replaced(out, overwrite=overwrite) as fresh:
        fill(fresh, files)


def tree(folder):
    """Everything below a folder and beside it, hidden files too."""
    return {
        path.relative_to(folder.parent).as_posix(): path.read_text() if path.is_file() else None
        for path in sorted(folder.parent.rglob("*"))
    }


def is_whole(folder):
    record = find_record(folder)
    if record is None or not record.is_finished:
        return None
    check_files(folder)
    assert all((folder / name).is_file() for name in record.files)
    return record.content["what"]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "place" / "out"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def test_an_older_result_is_replaced_and_what_the_user_added_stays(out):
    write(out, OLD)
    write_text(out / "notes.txt", "mine")
    write_text(out / "figures" / "sketch.png", "mine")
    write(out, NEW)
    found = {name: text for name, text in tree(out).items() if text is not None}
    record = json.loads(found.pop("out/run.json"))
    assert found == {f"out/{name}": text for name, text in NEW.items()} | {
        "out/notes.txt": "mine",
        "out/figures/sketch.png": "mine",
    }
    assert set(record["files"]) == set(NEW)
    assert is_whole(out) == "new"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_is_refused_and_untouched(out, overwrite):
    write_text(out / "photo.jpg", "photo")
    write_text(out / "sub" / "thesis.tex", "thesis")
    before = tree(out)
    with pytest.raises(UsageError, match="did not write") as refused:
        write(out, NEW, overwrite=overwrite)
    assert refused.value.found == "photo.jpg, sub/"
    assert tree(out) == before


@pytest.mark.parametrize("name", ["run.json", "manifest.json", MARKER])
def test_a_file_of_that_name_alone_does_not_make_a_folder_ours(out, name):
    write_json(out / name, {"name": "my web application", "icons": []})
    with pytest.raises(UsageError, match="did not write"):
        check_place(out, overwrite=True)


def test_a_finished_result_is_replaced_only_when_told_and_a_training_never(out):
    write(out, OLD)
    with pytest.raises(UsageError, match="already holds a result"):
        check_place(out, overwrite=False)
    check_place(out, overwrite=False, again="analyze")
    write_json(out / "run.json", {"schema_version": 2, "kind": "train"})
    with pytest.raises(UsageError, match="training run"):
        check_place(out, overwrite=True)


def test_a_file_of_the_user_in_the_place_of_a_new_one_is_refused(out):
    write(out, {"metrics.csv": "old"})
    write_text(out / "verdict.json", "mine")
    before = tree(out)
    with pytest.raises(UsageError, match="where the result must go") as refused:
        write(out, NEW)
    assert refused.value.found == "verdict.json"
    assert tree(out) == before


def test_a_record_that_names_files_elsewhere_deletes_none_of_them(out):
    write_text(out.parent / "thesis.tex", "mine")
    write(out, OLD)
    record = json.loads((out / "run.json").read_text())
    record["files"] |= {"../thesis.tex": "0", str(out.parent / "thesis.tex"): "0"}
    write_json(out / "run.json", record)
    write(out, NEW)
    assert (out.parent / "thesis.tex").read_text() == "mine"


def interrupted(out):
    with replaced(out, overwrite=True) as fresh:
        fill(fresh, NEW)
        raise KeyboardInterrupt


@pytest.mark.parametrize("there", [None, OLD])
def test_an_error_leaves_the_old_result_or_nothing(out, there):
    if there is not None:
        write(out, there)
    before = tree(out) if there else {}
    with pytest.raises(KeyboardInterrupt):
        interrupted(out)
    assert (tree(out) if there else {}) == before
    assert out.parent.exists() == bool(there)


def test_pages_are_added_to_the_record_and_go_with_the_result(out):
    write(out, OLD)
    identity = json.loads((out / "run.json").read_text())["id"]
    with added(out) as fresh:
        write_text(fresh / "report.html", "page of the old result")
    with filed(out / "figures", run=out, kind="figures") as fresh:
        write_text(fresh / "one.png", "redrawn")
    record = json.loads((out / "run.json").read_text())
    assert sorted(record["added"]) == ["figures/one.png", "report.html"]
    assert record["id"] == identity
    assert is_whole(out) == "old"
    write(out, NEW)
    assert not (out / "report.html").exists()
    assert is_whole(out) == "new"


def test_exports_gather_in_a_folder_of_their_own(out, tmp_path):
    write(out, OLD)
    for name in ("a.parquet", "b.npz"):
        with filed(tmp_path / "export", run=out, kind="export") as fresh:
            write_text(fresh / name, name)
    assert set(find_record(tmp_path / "export").files) == {"a.parquet", "b.npz"}


def test_a_result_put_together_from_two_is_refused(tmp_path):
    write(tmp_path / "one", OLD)
    write(tmp_path / "two", NEW)
    (tmp_path / "one" / "metrics.csv").write_bytes((tmp_path / "two" / "metrics.csv").read_bytes())
    with pytest.raises(StoreError, match="not one result") as refused:
        check_files(tmp_path / "one")
    assert refused.value.found == "metrics.csv"


def test_work_in_steps_that_comes_to_nothing_leaves_nothing(out):
    with pytest.raises(ValueError, match="stop"), begun(out, kind="compare", overwrite=False):
        raise ValueError("stop")
    assert not out.parent.exists()


def stopped_after_one(out):
    with begun(out, kind="compare", overwrite=False) as retire:
        with replaced(out / "checkpoints" / "a", overwrite=True, before=retire) as fresh:
            fill(fresh, OLD)
        raise ValueError("stop")


def stop_for_lack_of_space(out, *, retires):
    with begun(out, kind="analyze", overwrite=True) as retire:
        if retires:
            retire()
        raise store_error(out, OSError(errno.ENOSPC, "full"))


def test_a_full_disk_in_work_in_steps_says_what_became_of_the_older_result(out):
    write(out, OLD)
    with pytest.raises(StoreError, match="untouched"):
        stop_for_lack_of_space(out, retires=False)
    assert is_whole(out) == "old"
    with pytest.raises(StoreError, match=f"the older result in {out} is not complete any more"):
        stop_for_lack_of_space(out, retires=True)
    assert is_whole(out) is None


def test_work_in_steps_keeps_what_is_done_and_ends_whole(out):
    with pytest.raises(ValueError, match="stop"):
        stopped_after_one(out)
    assert is_whole(out / "checkpoints" / "a") == "old"
    assert is_whole(out) is None
    for what in (OLD, NEW):
        with (
            begun(out, kind="compare", overwrite=False) as retire,
            replaced(out, overwrite=False, again="compare") as fresh,
        ):
            fill(fresh, what, kind="compare")
        assert is_whole(out) == what["metrics.csv"]
    with (
        begun(out, kind="compare", overwrite=False) as retire,
        replaced(out / "checkpoints" / "a", overwrite=True, before=retire) as fresh,
    ):
        fill(fresh, NEW)
    assert is_whole(out) is None  # its parts are newer than its table


def test_a_newer_schema_is_refused_by_name(out):
    write_json(out / "run.json", {"schema_version": 3, "kind": "analyze"})
    with pytest.raises(StoreError, match="schema version 3"):
        check_place(out, overwrite=True)


# ---- kills and full disks: every step of a write, one after the other

STEPS = ("rename", "replace", "unlink", "mkdir", "rmdir", "fsync", "open")


def each_step(monkeypatch, act):
    """Call `act` with the number of every step on the file system, before it is done."""
    count = [0]

    def around(function):
        def wrapped(*args, **kwargs):
            if function.__name__ == "open" and not set("wxa") & set("".join(args[1:2])):
                return function(*args, **kwargs)
            count[0] += 1
            act(count[0])
            return function(*args, **kwargs)

        return wrapped

    for name in STEPS:
        if name != "open":
            monkeypatch.setattr(os, name, around(getattr(os, name)))
    for name in ("rename", "replace", "unlink", "mkdir", "rmdir", "open"):
        monkeypatch.setattr(Path, name, around(getattr(Path, name)))
    return count


def killed(work, step, monkeypatch):
    """Do the work in a child that is killed at a step; return how it ended."""
    child = os.fork()
    if child == 0:
        each_step(monkeypatch, lambda number: number == step and os.kill(os.getpid(), signal.SIGKILL))
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("there", [None, OLD], ids=["fresh", "over an older one"])
def test_killed_at_every_step_the_result_is_old_or_new_or_unfinished_and_the_rerun_ends_it(
    out, there, tmp_path, monkeypatch
):
    undisturbed = tmp_path / "undisturbed" / "out"
    for place in (undisturbed, out):
        if there is not None:
            write(place, there)
            write_text(place / "notes.txt", "mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    write(undisturbed, NEW)
    states, step, ending = set(), 1, -9
    while ending == -9:
        ending = killed(lambda: write(out, NEW), step, monkeypatch)
        state = is_whole(out) if out.exists() else "none"
        assert state in ("old" if there else "none", "new", None)
        states.add(state)
        assert there is None or (out / "notes.txt").read_text() == "mine"
        write(out, NEW)
        assert tree(out) == tree(undisturbed)
        for path in [*out.rglob("*")]:
            if path.is_file() and path not in before:
                path.unlink()
        for path, data in before.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        if not before:
            shutil.rmtree(out)
        step += 3  # `make soak` kills at every one
    assert ending == 0
    assert step > 40
    assert states >= {"new", "old" if there else "none"}


@pytest.mark.parametrize("there", [None, OLD], ids=["fresh", "over an older one"])
def test_a_disk_that_is_full_at_any_step_leaves_the_old_result_and_says_so(out, there, monkeypatch):
    out.parent.mkdir()
    if there is not None:
        write(out, there)
    before, step, steps = tree(out), 1, 2
    while step <= steps:
        steps, error = full_disk(lambda: write(out, NEW), step, monkeypatch)
        recover(out)
        if error is None:  # what failed was not needed
            assert is_whole(out) == "new", step
            shutil.rmtree(out)
            if there is not None:
                write(out, there)
        else:
            assert (error.found, "untouched" in str(error.hint)) == ("the disk is full", True)
            assert ".tmp" not in str(error)
            assert tree(out) == before, step
        step += 1
    assert step > 40


def full_disk(work, step, monkeypatch):
    """Do the work with a disk that is full at a step; return how many steps there were, and the error."""

    def full(number):
        if number == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        count = each_step(patch, full)
        try:
            work()
        except StoreError as error:
            return max(count[0], step + 1), error
        return count[0], None
