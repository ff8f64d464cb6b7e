"""Type checkers see the front door as it is: arrays where arrays are taken, and no metric that is not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

CLIENT = Path(__file__).with_name("client.py")
ROOT = Path(__file__).parents[2]


def checked(folder: Path, texts: Sequence[str]) -> list[str]:
    """Return what mypy --strict says of each script."""
    from mypy import api

    # Names of their own: mypy tells files apart by time and size.
    scripts = [folder / f"script_{number}_{abs(hash(text))}.py" for number, text in enumerate(texts)]
    for script, text in zip(scripts, texts, strict=True):
        script.write_text(text, "utf-8")
    said, errors, _ = api.run(
        [
            "--strict",
            "--no-error-summary",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "--cache-dir",
            str(ROOT / ".mypy_cache"),
            *map(str, scripts),
        ]
    )
    assert errors == ""
    return ["\n".join(line for line in said.splitlines() if script.stem in line) for script in scripts]


@pytest.mark.slow
def test_a_users_script_is_typed_and_a_misspelt_metric_is_an_error(tmp_path: Path) -> None:
    client = CLIENT.read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    (script,) = [block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "repdiag.compare(" in block]
    assert len(script.strip().splitlines()) <= 12
    # A result that is no tensor of images: the types of the settings are those of the metric itself.
    other_pair = client + "repdiag.metrics.alignment(vectors, vectors, pair='original')\n"
    wrong = [text.replace("metrics.uniformity", "metrics.unifromity") for text in (client, script)]
    said = checked(tmp_path, [client, script, *wrong, other_pair])
    assert said[:2] == ["", ""]
    assert "unifromity" in said[2]
    assert "unifromity" in said[3]
    assert "pair" in said[4]
