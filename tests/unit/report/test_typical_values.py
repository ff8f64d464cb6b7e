"""The typical values belong to the metrics of today, and tell known encoders apart as they must."""

from __future__ import annotations

import csv

from repdiag.metrics.registry import load_all
from repdiag.report.typical import ENCODERS, TABLE


def values(metric: str) -> dict[str, float]:
    lines = TABLE.read_text("utf-8").splitlines()[1:]
    return {row["encoder"]: float(row["value"]) for row in csv.DictReader(lines) if row["metric"] == metric}


def test_typical_values_are_of_the_present_version_of_each_metric() -> None:
    known = load_all()
    rows = list(csv.DictReader(TABLE.read_text("utf-8").splitlines()[1:]))
    stale = {row["metric"] for row in rows if int(row["version"]) != known[row["metric"]].version}
    assert not stale, "measure them again: python -m benchmarks.typical_values"
    assert {name for name, _ in ENCODERS} == {row["encoder"] for row in rows}


def test_each_planted_fault_is_extreme_where_its_metric_looks() -> None:
    gap, rank, finer = values("label_gap"), values("rankme"), values("granularity")
    assert max(gap, key=lambda name: gap[name]) == "overfitted"
    trained = {name: value for name, value in rank.items() if name != "untrained"}
    assert min(trained, key=lambda name: trained[name]) == "collapsed"
    trained = {name: value for name, value in finer.items() if name != "untrained"}
    assert max(trained, key=lambda name: trained[name]) == "over-clustered"
