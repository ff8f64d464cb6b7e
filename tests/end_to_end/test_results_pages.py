"""The smallest page of results is made again by its command and compared; all drawn pages say how they were made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyses import results_page
from analyses.digit_spaces import run

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", text)]


@pytest.mark.slow
def test_the_smallest_page_is_what_its_command_finds(tmp_path: Path) -> None:
    import repdiag

    repdiag.compare(run.spaces(), out=tmp_path / "again")
    found, kept = results_page.measured(tmp_path / "again"), results_page.drawn_in(run.PAGE)
    assert re.sub(r"[-+\d.]+", "#", found) == re.sub(r"[-+\d.]+", "#", kept)
    # Another processor rounds the last digit the other way.
    assert numbers(found) == pytest.approx(numbers(kept), rel=0.01, abs=0.011)


def test_every_drawn_page_says_how_when_and_of_which_commit() -> None:
    drawn = [page for page in RESULTS.glob("*.md") if results_page.BEGIN in page.read_text("utf-8")]
    assert run.PAGE in drawn
    for page in drawn:
        assert re.search(
            rf"{results_page.BEGIN}\nMade by `.+` on \d{{4}}-\d\d-\d\d at commit [0-9a-f]{{7,}}\.\n", page.read_text()
        ), page
