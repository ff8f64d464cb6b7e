"""The example in every metric's docstring gives what it says."""

from __future__ import annotations

import doctest
import inspect
import textwrap

import pytest

from repdiag.metrics.registry import load_all

METRICS = load_all()
SECTIONS = (
    "Formula:",
    "Shapes:",
    "Range:",
    "Invariant:",
    "Conventions:",
    "Read it as:",
    "Limits:",
    "Cost:",
    "Reference:",
    "Example:",
)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_docstring_has_every_section_in_order(name: str) -> None:
    text = inspect.getdoc(METRICS[name].function) or ""
    places = [text.find(f"\n{section}") for section in SECTIONS]
    assert -1 not in places, dict(zip(SECTIONS, places, strict=True))
    assert places == sorted(places)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_example_holds(name: str) -> None:
    text = inspect.getdoc(METRICS[name].function) or ""
    example = textwrap.dedent(text.partition("\nExample:")[2].replace(">>>", "         >>>", 1).lstrip("\n"))
    parsed = doctest.DocTestParser().get_doctest(
        textwrap.dedent(example), {name: METRICS[name].function}, name, None, 0
    )
    assert parsed.examples
    report: list[str] = []
    failures = doctest.DocTestRunner().run(parsed, out=report.append).failed
    assert failures == 0, "".join(report)
