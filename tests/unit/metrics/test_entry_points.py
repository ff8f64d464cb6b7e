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
    return MetricValue(value=float(features.abs().max()) ** power, n=len(features))
'''
SCRIPT = """
import json, torch
from repdiag import EmbeddingSet, evaluate, metrics
from repdiag.metrics.registry import load_all

rows = EmbeddingSet(features=torch.tensor([[1.0, -3.0]]))
(row,) = evaluate(rows, [("largest_entry", {"power": 2.0})], intervals=False)
card = load_all()["largest_entry"]
print(json.dumps([row.value, row.version, dict(row.params), card.family, float(metrics.largest_entry(rows.features))]))
"""


def test_an_installed_package_adds_a_metric(tmp_path: Path) -> None:
    (tmp_path / "outside_metrics.py").write_text(MODULE, encoding="utf-8")
    installed = tmp_path / "outside_metrics-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: outside-metrics\nVersion: 1.0\n", encoding="utf-8"
    )
    (installed / "entry_points.txt").write_text("[repdiag.metrics]\noutside = outside_metrics\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [9.0, 3, {"power": 2.0}, "external", 3.0]
