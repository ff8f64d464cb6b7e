"""The glossary's words have a meaning each, and every public name that it gives for them is there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import repdiag

TEXT = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text("utf-8")
ENTRIES = re.findall(r"^\| ([\w -]+) \| (.+?) \| (.*?) ?\|$", TEXT, re.M)[1:]
NAMES = sorted({name for _, _, names in ENTRIES for name in re.findall(r"`([^`]+)`", names)})


def test_words_stand_once_in_order() -> None:
    words = [word for word, _, _ in ENTRIES]
    assert len(words) > 30
    assert words == sorted(set(words), key=str.lower)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_public_and_an_argument_is_taken(name: str) -> None:
    path, _, argument = name.removesuffix(")").partition("(")
    public = repdiag
    first, *rest = path.split(".")
    assert first in repdiag.__all__
    public = getattr(repdiag, first)
    for part in rest:
        fields = getattr(public, "__dataclass_fields__", {})
        assert part in fields or hasattr(public, part) or first == "Encoder", name
        public = getattr(public, part, None)
    if argument:
        assert argument.removesuffix("=") in inspect.signature(getattr(repdiag, first)).parameters


def test_public_nouns_are_explained() -> None:
    nouns = {name for name in repdiag.__all__ if name[0].isupper()}
    assert nouns - {name.partition(".")[0].partition("(")[0] for name in NAMES} == set()
