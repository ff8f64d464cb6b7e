"""What the pages of the documentation show is run: their Python as it stands, their commands against real options."""

from __future__ import annotations

import json
import pkgutil
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.name: path.read_text("utf-8") for path in sorted(DOCS.glob("*.md")) if path.name != "metrics.md"}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], flags=re.DOTALL)


def write_run(folder: Path) -> None:
    """Write what the pages take for a finished run."""
    from repdiag.diagnosis.diagnose import judge
    from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space
    from repdiag.metrics.evaluate import evaluate

    table = evaluate(draw_space(SpaceRecipe(classes=4, per_class=10, dims=8)), ["uniformity"], intervals=False)
    folder.mkdir(parents=True)
    table.to_frame().to_parquet(folder / "metrics.parquet", index=False)
    (folder / "verdict.json").write_text(json.dumps(judge(table).to_dict()), "utf-8")
    (folder / "run.json").write_text("{}", "utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space
    from repdiag.metrics import registry

    monkeypatch.chdir(tmp_path)
    for tracker in ("mlflow", "wandb"):  # not installed for the tests; test_trackers.py knows what they take
        monkeypatch.setitem(sys.modules, tracker, MagicMock())
    write_run(tmp_path / "runs" / "compare")
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))  # a page may add a metric
    recipe = SpaceRecipe(classes=4, per_class=20, dims=16)
    given = {"__name__": "page"} | {split: draw_space(recipe, split=split) for split in ("val", "train")}
    for snippet in blocks(page, "python"):
        exec(compile(snippet, page, "exec"), given)


def test_every_command_of_the_pages_exists_with_its_options() -> None:
    import typer.main

    from repdiag.cli.app import app

    known: Any = typer.main.get_command(app)
    seen = 0
    for page in PAGES:
        for line in "\n".join(blocks(page, "bash")).splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["repdiag"] or len(words) < 2:
                continue
            command = known.commands[words[1]]
            options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            named = {word for word in words[2:] if word.startswith("--")} - {"--debug"}
            assert named <= options, (page, line)
            seen += 1
    assert seen > 10


def test_links_between_pages_and_the_navigation_point_to_pages() -> None:
    navigation = re.findall(r": ([\w-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text("utf-8"), flags=re.MULTILINE)
    assert set(navigation) == set(PAGES) | {"metrics.md"}
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#:]+\.md)", text):
            assert (DOCS / target).is_file(), (page, target)


def test_the_api_pages_show_every_public_name_and_are_in_the_navigation() -> None:
    import repdiag

    pages = {path.name: path.read_text("utf-8") for path in DOCS.glob("api/*.md")}
    shown = re.findall(r"^::: (\S+)$", "\n".join(pages.values()), flags=re.MULTILINE)
    assert {f"repdiag.{name}" for name in repdiag.__all__} - set(shown) == {"repdiag.__version__", "repdiag.metrics"}
    for target in shown:
        named = pkgutil.resolve_name(target)
        found = getattr(named, target.rpartition(".")[2], named) if isinstance(named, ModuleType) else named
        assert found.__doc__, target
    navigation = re.findall(r": api/([\w-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(navigation) == sorted(pages)


def test_links_and_pictures_of_results_and_studies_are_there() -> None:
    pages = [*DOCS.glob("results/*.md"), *DOCS.parent.glob("analyses/*/README.md")]
    found = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert found == []
    listed = (DOCS / "results" / "README.md").read_text("utf-8")
    assert [
        page.name for page in DOCS.glob("results/*.md") if page.name not in listed and page.name != "README.md"
    ] == []


def test_the_error_texts_of_the_troubleshooting_page_are_those_of_the_code() -> None:
    code = "\n".join(path.read_text("utf-8") for path in sorted((DOCS.parent / "repdiag").rglob("*.py")))
    errors = re.findall(r"^### (.+)$", PAGES["troubleshooting.md"], flags=re.MULTILINE)
    assert len(errors) > 15
    for heading in errors:
        for text in re.sub(r" \(.*\)$", "", heading).split(", "):
            for part in text.split(" ... "):
                assert part in code, f"no error says {part!r}"
