"""`compare` with probes: rows beside the diagnosis, paired tests, and a section of the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import repdiag
from repdiag.core.errors import UsageError
from repdiag.core.metric_table import MetricTable
from repdiag.report.downstream import downstream_lines
from repdiag.workflows.compare_probes import probe_compared
from repdiag.workflows.options import AnalysisOptions
from repdiag.workflows.probed import probe_lines, write_probe_pairs
from repdiag.workflows.speaking import PlainSpeaker


def encoder(width: int) -> repdiag.Encoder:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return repdiag.load_encoder(nn.Sequential(*layers), image_size=8)


@dataclass(frozen=True)
class Side:
    """One encoder of a comparison."""

    name: str
    encoder: repdiag.Encoder


def test_probes_stand_beside_the_diagnosis_and_on_the_page(tmp_path: Path) -> None:
    sides = [Side("narrow", encoder(2)), Side("wide", encoder(16)), Side("unread", encoder(4))]
    options = AnalysisOptions(data="digits", limit=120, cache=False, probes=("linear", "dino-blocks"))
    told = PlainSpeaker()
    probed = probe_compared(sides, options, tmp_path / "both", told=told, names=("narrow", "wide"))
    assert [(one.name, one.protocol.name) for one in probed] == [("narrow", "linear"), ("wide", "linear")]
    assert probed[1].value > probed[0].value
    write_probe_pairs(probed, tmp_path)
    pairs = pd.read_csv(tmp_path / "paired_probes.csv")
    assert pairs[["first", "second", "protocol"]].values.tolist() == [["narrow", "wide", "linear"]]
    assert len(pd.read_parquet(tmp_path / "per_row_probes.parquet")) == 2 * 120
    assert sum("after Holm" in line for line in probe_lines(probed)) == 1
    assert probe_lines(()) == []

    beside = repdiag.evaluate([[1.0, 0.0], [0.0, 1.0]], ["uniformity"])
    frame = MetricTable.concat([beside, *(one.table for one in probed)]).to_frame()
    lines = downstream_lines(MetricTable.from_frame(frame))  # as read back from a file
    assert [(line["checkpoint"], line["measure"]) for line in lines[::2]] == [("narrow", "top1"), ("wide", "top1")]
    assert all(line["protocol"] == "linear (version 1)" for line in lines)


def test_a_protocol_that_does_not_exist_is_said_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="linaer"):
        repdiag.compare({"one": encoder(2)}, data="digits", probes=("linaer",))
