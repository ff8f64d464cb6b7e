"""A metric of another package: installed with an entry point, it is listed, evaluated and shown like ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MODULE = '''
"""A metric from outside."""

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.registry import metric


@metric(direction="context", bounds=(0.0, 1e9), invariances={"row_order"}, version=3, reference="here", default=False)
def largest_entry(features, *, power: float = 1.0) -> MetricValue:
    """Largest entry: the largest absolute number among the features."""
    return MetricValue(value=features.abs().max() ** power, n=len(features), extra={"row": features.argmax()})


@metric(direction="context", bounds=(0.0, 1.0), invariances=(), version=1, reference="here", default=False)
def bare_number(features) -> MetricValue:
    """Bare number: not what a metric returns."""
    return 1.0
'''
SCRIPT = """
import json, torch
from repdiag import EmbeddingSet, evaluate, metrics
from repdiag.metrics.registry import load_all

rows = EmbeddingSet(features=torch.tensor([[1.0, -3.0]]))
table = evaluate(rows, [("largest_entry", {"power": 2.0})], intervals=False)
(row,) = table
(extra,) = table.to_frame()["extra"]
(reason,) = [row.reason for row in evaluate(rows, "bare_number", intervals=False)]
card = load_all()["largest_entry"]
directly = float(metrics.largest_entry(rows.features))
print(json.dumps([row.value, row.version, dict(row.params), card.family, directly, extra, reason]))
"""


def test_an_installed_package_adds_a_metric(tmp_path: Path) -> None:
    (tmp_path / "outside_metrics.py").write_text(MODULE, encoding="utf-8")
    installed = tmp_path / "outside_metrics-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: outside-metrics\nVersion: 1.0\n", encoding="utf-8"
    )
    entries = "[repdiag.metrics]\noutside = outside_metrics\nbroken = metrics_that_are_not_there\n"
    (installed / "entry_points.txt").write_text(entries, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = [9.0, 3, {"power": 2.0}, "external", 3.0, '{"row": 0}', "bare_number must return a MetricValue: float"]
    assert json.loads(done.stdout) == expected
    assert "metrics of metrics_that_are_not_there cannot be loaded and are left out: ModuleNotFoundError" in done.stderr
