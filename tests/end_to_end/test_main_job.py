"""The main job through the installed command: train, analyze, compare, on the embedded digits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.timeout(900)  # whole analyses, on machines that may be busy
SHORT = ("--epochs", "2", "--set", "data.limit=320", "--no-progress")
CLUSTERED = {
    *("ami", "ari", "nmi", "kmeans_purity", "homogeneity", "completeness", "v_measure", "fowlkes_mallows"),
    *("granularity", "sub_clusters"),
}


def repdiag(*words, cwd, code=0, timeout=600):
    environment = {**os.environ, "REPDIAG_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "repdiag", *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a short run of the default training, analyzed."""
    folder = tmp_path_factory.mktemp("home")
    repdiag("train", *SHORT, "--out", "run", cwd=folder)
    done = repdiag("analyze", "run", "--per-class", "10", "--out", "first", "--no-progress", cwd=folder)
    (folder / "analyze.txt").write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_a_run_leaves_what_it_promises(home):
    run = home / "run"
    assert json.loads((run / "run.json").read_text())["status"] == "completed"
    assert {"last.pt", "initial.pt"} <= {path.name for path in (run / "checkpoints").iterdir()}
    assert len(pd.read_csv(run / "history.csv")) > 0


@pytest.mark.slow
def test_an_analysis_prints_the_untrained_copy_and_a_judgement(home):
    text = (home / "analyze.txt").read_text()
    for words in ("kNN accuracy", "untrained", "over-clustered", "overfitting", "collapse", "figures: ", "next: "):
        assert words in text


@pytest.mark.slow
def test_an_analysis_leaves_tables_and_figures(home):
    out = home / "first"
    table = pd.read_csv(out / "metrics.csv")
    assert {"features", "projections"} == set(table["space"])
    assert {"train", "val"} == set(table["split"])
    assert table["value"].notna().any()
    assert table.loc[table["value"].isna(), "reason"].notna().all()
    assert {"over_clustering", "overfitting", "collapse"} <= set(json.loads((out / "verdict.json").read_text()))
    names = {path.stem for path in (out / "figures").glob("*.png")}
    assert {"training_history", "over_cluster_curve", "embedding_map", "singular_spectrum"} <= names
    for name in names:
        assert {".png", ".pdf", ".svg", ".csv", ".txt"} == {path.suffix for path in (out / "figures").glob(f"{name}.*")}


@pytest.mark.slow
def test_the_same_analysis_gives_the_same_bytes(home):
    words = ("analyze", "run", "--per-class", "10", "--no-figures", "--no-progress")
    repdiag(*words, "--no-cache", "--out", "again", cwd=home)
    assert (home / "first/metrics.csv").read_bytes() == (home / "again/metrics.csv").read_bytes()


@pytest.mark.slow
def test_batch_size_and_workers_change_nothing(home):
    words = ("analyze", "run", "--per-class", "10", "--no-figures", "--no-untrained", "--no-cache", "--no-progress")
    repdiag(*words, "--batch-size", "17", "--workers", "2", "--out", "other", cwd=home)
    one, two = (pd.read_csv(home / folder / "metrics.csv") for folder in ("first", "other"))
    one = one[~one["checkpoint"].str.endswith("(untrained)")].reset_index(drop=True)
    assert one["metric"].tolist() == two["metric"].tolist()
    # A sum over many pairs of float32 features moves by rounding only.
    pd.testing.assert_series_equal(one["value"], two["value"], rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_compare_resumes_and_goes_on_past_a_broken_file(home):
    (home / "broken.pt").write_bytes(b"not a checkpoint")
    words = ("compare", "run/checkpoints/initial.pt", "run", "broken.pt", "--per-class", "8", "--no-untrained")
    words = (*words, "--data", "digits", "--out", "both", "--no-progress", "--no-figures")
    done = repdiag(*words, cwd=home, code=1)
    assert "left out" in done.stdout
    assert [line for line in done.stdout.splitlines() if " of 3: " in line] == [
        "1 of 3: run/initial",
        "2 of 3: run",
        "3 of 3: broken",
    ]
    stamp = (home / "both/checkpoints/run/run.json").stat().st_mtime_ns
    again = repdiag(*words, cwd=home, code=1)
    assert "2 of 3: run" not in again.stdout
    assert (home / "both/checkpoints/run/run.json").stat().st_mtime_ns == stamp
    table = pd.read_csv(home / "both/metrics.csv")
    assert set(table["checkpoint"]) == {"run", "run/initial"}
    repdiag("figures", "both", cwd=home)
    assert (home / "both/figures/checkpoint_comparison.png").stat().st_size > 10_000


@pytest.mark.slow
def test_json_is_alone_on_stdout(home):
    words = ("analyze", "run", "--per-class", "8", "--no-figures", "--no-untrained", "--json", "--out", "json")
    found = json.loads(repdiag(*words, cwd=home).stdout)
    assert found["checkpoint"]["backbone"] == "resnet20"
    assert found["verdict"]["overfitting"]["verdict"]


def test_a_mistake_gets_one_screen_and_an_exit_code(tmp_path):
    done = repdiag("train", "--set", "optimizer.lrr=1", cwd=tmp_path, code=2)
    assert "lr" in done.stderr
    assert len(done.stderr.splitlines()) <= 24


def test_vectors_without_images(tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    labels = np.arange(120) % 4
    rows = rng.normal(size=(4, 16))[labels] + 0.1 * rng.normal(size=(120, 16))
    np.savez(tmp_path / "v.npz", features=rows.astype(np.float32), labels=labels)
    done = repdiag("analyze", "--embeddings", "v.npz", "--json", cwd=tmp_path)
    found = {row["metric"] for row in json.loads(done.stdout)["metrics"] if row["value"] is not None}
    assert {"uniformity", "intra_class_distance", "rankme", "kmeans_purity"} <= found


def test_help_imports_nothing_heavy():
    code = "import sys; import repdiag.cli.app; print(sorted({'torch','faiss','pandas','numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_package_runs_as_a_module():
    assert Path(sys.executable).exists()
    done = subprocess.run([sys.executable, "-m", "repdiag", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("repdiag ")


@pytest.mark.slow
def test_processes_share_an_analysis_and_find_what_one_finds(home):
    """Three, among whom the images do not divide evenly; other numbers are tried without the command line."""
    processes = 3
    environment = {**os.environ, "REPDIAG_CACHE": str(home / f"cache{processes}"), "OMP_NUM_THREADS": "1"}
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "repdiag"]
    words = ["analyze", "run", "--per-class", "10", "--out", f"shared{processes}", "--no-figures", "--no-untrained"]
    done = subprocess.run(
        [sys.executable, *torchrun, *words, "--no-progress"],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("results: ") == 1  # the first process alone speaks
    alone, together = (pd.read_csv(home / out / "metrics.csv") for out in ("first", f"shared{processes}"))
    alone = alone[alone["checkpoint"] == together["checkpoint"].iloc[0]].reset_index(drop=True)
    keys = ["split", "space", "metric", "params"]
    assert together[keys].equals(alone[keys])
    # k-means may turn a rounding of the features into another assignment; everything else follows the features.
    steady = ~alone["metric"].isin(CLUSTERED)
    for column in ("value", "ci_low", "ci_high"):
        found, expected = together.loc[steady, column], alone.loc[steady, column]
        assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6, abs=1e-9, nan_ok=True)


def test_commands_that_share_nothing_say_so_under_torchrun(tmp_path):
    environment = {**os.environ, "WORLD_SIZE": "2", "RANK": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "repdiag", "inspect", "any.pt"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "without torchrun" in done.stderr
