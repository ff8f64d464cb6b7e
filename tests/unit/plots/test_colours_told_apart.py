"""Colours of series stay apart for the colour blind and on both of the page's papers, by numbers.

Vision without one kind of cone after Machado, Oliveira & Fernandes 2009 (severity 1.0, on linear light); distance is
CIE 1976 Delta E under D65; contrast is WCAG 2's.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import repdiag.report
from repdiag.plots.palette import CHECKPOINT_COLORS, CLASS_COLORS, GREY

VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
CSS = (Path(repdiag.report.__file__).parent / "templates" / "report.css").read_text("utf-8")


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    ratio = TO_XYZ @ np.clip(light, 0, 1) / WHITE
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(first: str, second: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def test_the_formulas_know_black_white_and_a_published_pair() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.02)
    # Red and green are 170 apart for most people.
    assert np.linalg.norm(lab(linear("#ff0000")) - lab(linear("#00ff00"))) == pytest.approx(170.6, abs=0.3)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("colours", [CHECKPOINT_COLORS, CLASS_COLORS], ids=["checkpoints", "classes"])
def test_any_two_series_are_told_apart(colours: tuple[str, ...], vision: str) -> None:
    seen = {colour: lab(np.asarray(VISIONS[vision]) @ linear(colour)) for colour in colours}
    near = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in itertools.combinations(colours, 2)}
    assert {pair: round(float(value), 1) for pair, value in near.items() if value < 15} == {}


def test_series_are_seen_on_the_papers_of_both_themes() -> None:
    papers = re.findall(r"--paper: (#[0-9a-f]{6})", CSS)
    assert len(set(papers)) == 2
    faint = {
        (colour, paper): round(contrast(colour, paper), 2)
        for colour in (*CHECKPOINT_COLORS, *CLASS_COLORS, GREY)
        for paper in papers
        if contrast(colour, paper) < 3
    }
    assert faint == {}
