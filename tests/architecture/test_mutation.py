"""The list of changes that tests must notice fits the code, and what is drawn is a change of meaning alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.sites import count_places, mutant_at
from tests.mutation.targets import FOUND, TARGETS

ROOT = Path(__file__).parents[2]
MODULE = '''"""Numbers 1 and 2."""

@metric(version=1)
def half(rows: Array = 3) -> int:
    if not rows > 0 and rows != 9:
        raise ValueError(f"{1 - 2}" + "more than 1")
    return -rows / 2
'''


def test_operators_numbers_and_negations_are_changed_and_texts_are_not() -> None:
    mutants = [mutant_at(MODULE, number) for number in range(count_places(MODULE))]
    found = {mutant.after for mutant in mutants}
    assert found == {
        "def half(rows: Array=4) -> int:",
        "if not rows > 0 or rows != 9:",
        "if not not rows > 0 and rows != 9:",
        "if not rows >= 0 and rows != 9:",
        "if not rows > 0 and rows == 9:",
        "if not rows > 1 and rows != 9:",
        "if not rows > 0 and rows != 10:",
        "return -rows * 2",
        "return +rows / 2",
        "return -rows / 3",
    }
    assert len(mutants) == 10
    for mutant in mutants:
        assert ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(MODULE))
        assert "more than 1" in mutant.source


@pytest.mark.parametrize(("module", "old", "new", "tests"), FOUND, ids=[f"{module}" for module, *_ in FOUND])
def test_what_once_went_unnoticed_still_stands_there_once(
    module: str, old: str, new: str, tests: tuple[str, ...]
) -> None:
    assert (ROOT / "repdiag" / module).read_text("utf-8").count(old) == 1
    assert old != new
    assert all((ROOT / "tests" / name).is_file() for name in tests)


def test_every_module_that_is_changed_has_its_tests() -> None:
    for module, tests in TARGETS.items():
        assert count_places((ROOT / "repdiag" / module).read_text("utf-8")) > 0, module
        assert all((ROOT / "tests" / name).is_file() for name in tests), module
