"""Errors say what was wrong, what was found, what to do."""

import pytest

from repdiag.core.errors import DataError, unknown_name


def test_the_message_has_three_parts():
    text = str(DataError("no images", found="an empty folder", hint="give another"))
    assert text.splitlines() == ["no images", "  found: an empty folder", "  try:   give another"]


@pytest.mark.parametrize(("typed", "meant"), [("resnet19", "resnet18"), ("digit", "digits")])
def test_a_typo_gets_the_nearest_name(typed, meant):
    error = unknown_name("name", typed, ["resnet18", "digits", "vit_tiny"])
    assert f"did you mean: {meant}" in str(error)
    assert error.exit_code == 2


def test_nothing_near_lists_what_is_known():
    assert "known: a, b" in str(unknown_name("name", "zzzz", ["b", "a"]))
