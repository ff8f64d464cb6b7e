"""What it costs to ship an encoder, beside what it is worth: the frame, its front, its cells, the page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from stored_runs import metric_rows, write_comparison

from repdiag.core.csv_text import csv_text
from repdiag.core.encoder_cost import EncoderCost
from repdiag.core.metric_table import MetricTable
from repdiag.results.deployment_cells import deployment_cells, measured_how
from repdiag.results.frames.deployment import deployment_frame, deployment_tradeoff
from repdiag.results.reading import read_run
from repdiag.workflows.report import build_report

DRIFT = pd.DataFrame(
    [
        {"old": "large", "new": "small", "verdict": "changed", "neighbors_kept": 0.4, "ten_kept": 0.5}
        | {"cross_gallery": None, "row_cosine": None, "linear_cka": 0.7, "procrustes_distance": 0.6}
        | {"precision_at_1_change": -0.08, "n": 48}
    ]
)


def frame() -> pd.DataFrame:
    """Large is better and slower; small is smaller and faster, and its memory was not measured."""
    table = MetricTable(tuple(metric_rows("large", quality=0.9) + metric_rows("small", quality=0.5)))
    here = {"device": "cpu", "threads": 1, "batch": 16}
    costs = {
        "large": EncoderCost(**here, runtime="torch 2.15", ms_alone=9.0, file_bytes=40_000_000, peak_bytes=90_000_000),
        "small": EncoderCost(**here, runtime="onnxruntime 1.32", ms_alone=2.0, file_bytes=2_000_000),
    }
    return deployment_frame(table, costs, DRIFT)


def test_costs_stand_beside_accuracy_and_neighbours_kept() -> None:
    headings, lines = deployment_cells(frame())
    cells = {name: dict(zip(headings, found, strict=True)) for name, found in lines}
    assert cells["large"]["kNN accuracy, k = 20"] == "83.0 % [81.0, 85.0]"
    assert (cells["large"]["file, MB"], cells["large"]["memory, MB"]) == ("40.0", "90.0")
    assert cells["large"]["nearest kept"] == "the same"
    assert cells["small"]["nearest kept"] == "40.0 %"
    assert (cells["small"]["run by"], cells["small"]["memory, MB"]) == ("onnxruntime 1.32", "\N{EN DASH}")
    assert measured_how(frame()) == "this machine: cpu, 1 thread, batches of 16; medians; kept of large"


def test_the_front_holds_who_is_not_beaten_at_its_price() -> None:
    found = deployment_tradeoff(frame())
    assert set(found["cost"]) == {"ms_alone", "file_bytes", "peak_bytes"}  # nobody's operations were counted
    assert set(found["metric"]) == {"knn_accuracy", "neighbors_kept"}
    assert found[found["cost"] == "ms_alone"]["on_front"].all()
    worse = frame()
    worse.loc[worse["checkpoint"] == "small", "ms_alone"] = 10.0
    times = deployment_tradeoff(worse).query("cost == 'ms_alone'")
    assert dict(zip(times["checkpoint"], times["on_front"], strict=True)) == {"large": True, "small": False}


def test_the_page_has_both_sections_and_the_images_that_changed(tmp_path: Path) -> None:
    run = write_comparison(tmp_path, ["large", "small"])
    (run / "deployment.csv").write_text(csv_text(frame()), "utf-8")
    (run / "drift.csv").write_text(csv_text(DRIFT), "utf-8")
    page = build_report(run, tmp_path / "report.html", map_method="none").read_text("utf-8")
    deployment, drift = (page.partition(f'<section id="{name}">')[2].partition("</section>")[0]
                         for name in ("deployment", "drift"))  # fmt: skip
    assert "onnxruntime 1.32" in deployment
    assert "83.0 % [81.0, 85.0]" in deployment
    assert "-8.0 points" in drift
    assert "from large to small" in drift
    assert drift.count('class="tile"') >= 9
    stored = read_run(run).deployment
    assert stored is not None
    assert deployment_cells(stored) == deployment_cells(frame())


def test_a_comparison_of_vectors_has_no_such_section(tmp_path: Path) -> None:
    run = write_comparison(tmp_path, ["large", "small"])
    page = build_report(run, tmp_path / "report.html", map_method="none").read_text("utf-8")
    assert 'id="deployment"' not in page
    assert 'id="drift"' not in page
