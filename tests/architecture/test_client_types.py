"""Type checkers see the front door as it is: arrays where arrays are taken, and no metric that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CLIENT = Path(__file__).with_name("client.py")
ROOT = Path(__file__).parents[2]


def checked(folder: Path, text: str) -> str:
    """Return what mypy --strict says of a script."""
    from mypy import api

    script = folder / f"script_{abs(hash(text))}.py"  # a name of its own: mypy tells files apart by time and size
    script.write_text(text, "utf-8")
    said, errors, _ = api.run(
        [
            "--strict",
            "--no-error-summary",
            "--follow-imports=silent",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "--cache-dir",
            str(ROOT / ".mypy_cache"),
            str(script),
        ]
    )
    return said + errors


@pytest.mark.slow
def test_a_users_script_is_typed_and_a_misspelt_metric_is_an_error(tmp_path: Path) -> None:
    text = CLIENT.read_text("utf-8")
    assert checked(tmp_path, text) == ""
    wrong = text.replace("metrics.uniformity", "metrics.unifromity")
    assert "unifromity" in checked(tmp_path, wrong)
    # A result that is no tensor of images: the types of the settings are those of the metric itself.
    assert "pair" in checked(tmp_path, text + "repdiag.metrics.alignment(vectors, vectors, pair='original')\n")


@pytest.mark.slow
def test_the_readmes_script_is_short_and_typed(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (script,) = [block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "repdiag.compare(" in block]
    assert len(script.strip().splitlines()) <= 12
    assert checked(tmp_path, script) == ""
    assert "unifromity" in checked(tmp_path, script.replace("metrics.uniformity", "metrics.unifromity"))
