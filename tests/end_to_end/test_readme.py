"""Every snippet of the README that can run without somebody else's files is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)  # a whole training, on machines that may be busy
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("snippet", blocks("python"))
def test_python_snippets_run(snippet, tmp_path):
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_quick_start_names_real_commands_and_the_run_that_train_makes(tmp_path):
    (first, second, *_rest) = blocks("bash")
    lines = [*first.splitlines(), *second.splitlines()]
    commands = [line.split("#")[0].strip() for line in lines if line.startswith("repdiag ")]
    assert [command.split()[1] for command in commands] == ["demo", "train", "analyze"]
    environment = {**os.environ, "REPDIAG_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    extra = {
        "demo": "",
        "train": "--epochs 1 --set data.limit=128 --no-progress",
        "analyze": "--per-class 6 --no-figures --no-untrained --no-progress",  # the main job's test has both
    }
    for command in commands:
        words = [sys.executable, "-m", *command.split(), *extra[command.split()[1]].split()]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_of_the_readme_exists():
    import typer.main

    from repdiag.cli.app import app

    known = set(typer.main.get_command(app).commands)
    named = set(re.findall(r"^repdiag (\w+)", TEXT, flags=re.MULTILINE))
    assert named <= known, named - known


def test_links_point_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (ROOT / target).exists(), target
