"""Names that fit and stay apart, and styles that stay apart without colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repdiag.plots.palette import checkpoint_styles
from repdiag.plots.text import printable, short_names


@given(st.lists(st.text(max_size=60), min_size=1, max_size=12, unique=True), st.integers(12, 40))
def test_short_names_fit_and_differ(names: list[str], limit: int) -> None:
    shown = short_names(names, limit=limit)
    assert list(shown) == names
    assert max(map(len, shown.values())) <= limit
    assert len(set(shown.values())) == len(names)


def test_both_ends_of_a_long_name_survive() -> None:
    shown = short_names(["simsiam_resnet50_imagenet1k_seed1", "short"], limit=20)
    assert shown["short"] == "short"
    assert shown["simsiam_resnet50_imagenet1k_seed1"].startswith("simsiam")
    assert shown["simsiam_resnet50_imagenet1k_seed1"].endswith("net1k_seed1")


@pytest.mark.parametrize("limit", [20, 22, 26, 34])
def test_long_names_keep_what_tells_them_apart_and_untrained_copies_their_mark(limit: int) -> None:
    trained = ["cifar10-supervised-resnet20-12fca82f", "cifar10-supervised-resnet56-4bfd9763"]
    copies = [f"{name} (untrained)" for name in trained]
    shown = short_names([trained[0], copies[0], trained[1], copies[1]], limit=limit)
    for name, depth in zip((*trained, *copies), ("20", "56") * 2, strict=True):
        assert depth in shown[name] or limit < 22
        assert shown[name].endswith(" (untrained)") == (name in copies)
    assert not any("(2)" in text for text in shown.values())


def test_control_and_direction_marks_are_dropped() -> None:
    assert printable("a\tb\x00\N{RIGHT-TO-LEFT OVERRIDE}c") == "a bc"
    assert printable("\N{CRAB}") == "\N{WHITE SQUARE}"


def test_twelve_checkpoints_differ_in_grey_print() -> None:
    styles = checkpoint_styles([f"net{i}" for i in range(12)])
    assert len({style.marker for style in styles.values()}) == 12
    assert len({(style.color, str(style.line)) for style in styles.values()}) == 12


def test_untrained_checkpoints_are_hollow_and_change_no_other_style() -> None:
    alone = checkpoint_styles(["a", "b"])
    beside = checkpoint_styles(["a", "a (untrained)", "b"], untrained=("a (untrained)",))
    assert beside["a"] == alone["a"]
    assert beside["b"] == alone["b"]
    assert beside["a (untrained)"].face == "white"
    assert alone["a"].face == alone["a"].color
