"""Flags that messages, hints, help texts, advice and docs name exist, at the command that they are named for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from repdiag.cli.app import app

ROOT = Path(__file__).parents[2]
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
ANYWHERE = {"--help", "--debug"}
# Of other programs: git, which the provenance asks, and what the docs start beside repdiag.
GIT = {"--porcelain", "--untracked-files"}
OTHER_PROGRAMS = {
    *("--logdir", "--nproc-per-node", "--nnodes", "--rdzv-endpoint", "--rdzv-backend", "--rdzv-id"),
    *("--nodes", "--ntasks-per-node", "--cpus-per-task", "--gpus-per-node", "--time", "--mem"),  # sbatch
}
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "analyses/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"  # it tells what was called otherwise once
)


def commands(command: typer.core.TyperCommand, words: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Yield every command, by its words, with its flags."""
    names = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]
    yield " ".join(words), {name for name in names if name.startswith("--")} | ANYWHERE
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


FLAGS = dict(commands(typer.main.get_command(app)))
KNOWN = set().union(*FLAGS.values())
# From the command's name to the end of the line, of the code span or of the clause.
CALL = re.compile(r"\brepdiag (" + "|".join(sorted(filter(None, FLAGS), key=len, reverse=True)) + r")\b([^`\n;#|&]*)")


def texts_of(path: Path) -> Iterator[str]:
    """Yield the strings of a module, docstrings among them; the gaps of an f-string read as one word."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def wrong_calls(text: str) -> set[str]:
    """Return "command --flag" for every flag that is named for a command that does not have it."""
    return {
        f"{name} {flag}"
        for name, rest in CALL.findall(text)
        for flag in FLAG.findall(rest.partition(", --")[0])  # what follows a comma is said of options in general
        if flag not in FLAGS[name]
    }


def declared_in(source: str) -> set[str]:
    """Return the flags that a script declares for itself."""
    return set(FLAG.findall(" ".join(re.findall(r"add_argument\(([^)]*)\)", source))))


def flags_of_scripts(page: str) -> set[str]:
    """Return the flags of our scripts that a page starts with `python -m`, and of what they share."""
    found: set[str] = set()
    for module in set(re.findall(r"-m ((?:benchmarks|analyses|tests|docs)[\w.]*)", page)):
        place = ROOT / module.replace(".", "/")
        files = [place.with_suffix(".py"), place / "__main__.py", *ROOT.glob(f"{module.partition('.')[0]}/*.py")]
        for path in filter(Path.is_file, files):
            found |= declared_in(path.read_text("utf-8"))
    return found


def test_every_flag_that_the_package_names_exists() -> None:
    wrong: dict[str, set[str]] = {}
    for path in sorted((ROOT / "repdiag").rglob("*.py")):
        allowed = KNOWN | (GIT if path.name == "provenance.py" else set())
        allowed = allowed | ({"--write"} if path.name == "dip_null.py" else set())  # of a benchmark's script
        allowed = allowed | ({"--series"} if path.name == "html.py" else set())  # a variable of the style sheet
        for text in texts_of(path):
            if found := (set(FLAG.findall(text)) - allowed) | wrong_calls(text):
                wrong.setdefault(str(path.relative_to(ROOT)), set()).update(found)
    assert wrong == {}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_that_a_page_names_exists(path: Path) -> None:
    page = path.read_text("utf-8")
    unknown = set(FLAG.findall(page)) - KNOWN - OTHER_PROGRAMS - flags_of_scripts(page)
    assert unknown | wrong_calls(page) == set()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`repdiag analyze RUN --space projections` reads both", {"analyze --space"}),
        ("repdiag metrics show NAME --data x", {"metrics show --data"}),
        ("repdiag train --list # or --space", set()),
        ("repdiag analyze x --per-row; compare has no --per-row", set()),
    ],
)
def test_a_flag_of_another_command_is_seen(text: str, wrong: set[str]) -> None:
    assert wrong_calls(text) == wrong
