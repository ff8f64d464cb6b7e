"""The map in docs/architecture.md names rooms and files that are there, and its trips are short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
TRIPS = re.findall(r"^(\w[^:\n]*):\n((?:`[^`]+`(?: ->)?\s*)+)", TEXT, re.M)


def test_there_are_four_trips_and_the_map_fits_a_screen_of_rooms() -> None:
    assert len(TRIPS) == 4
    assert len(re.findall(r"^\| [^|]+\| `", TEXT, re.M)) <= 20


@pytest.mark.parametrize(("name", "steps"), TRIPS, ids=[name for name, _ in TRIPS])
def test_a_trip_has_at_most_eight_hops_and_each_reaches_a_file(name: str, steps: str) -> None:
    files = re.findall(r"`([^`]+)`", steps)
    assert 2 <= len(files) <= 8, name
    assert [file for file in files if not (ROOT / "repdiag" / file).is_file()] == []


def test_every_room_has_its_line() -> None:
    rooms = {path.name for path in (ROOT / "repdiag").iterdir() if (path / "__init__.py").is_file()}
    named = set(re.findall(r"`(\w+)/", TEXT))
    assert rooms - named == set()


def test_the_commands_stay_thin() -> None:
    files = list((ROOT / "repdiag" / "cli").glob("*.py"))
    assert sum(len(path.read_text("utf-8").splitlines()) for path in files) < 87 * len(files)
