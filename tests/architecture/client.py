"""A script of somebody's own, as type checkers and readers see it; README has the same lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import repdiag

vectors = np.random.default_rng(0).normal(size=(90, 8))
labels = [number % 3 for number in range(90)]
found = repdiag.EmbeddingSet(features=vectors, labels=labels)
width: int = found.features.shape[1]
spread = float(repdiag.metrics.uniformity(vectors, t=2.0))
likeness = float(repdiag.metrics.linear_cka(vectors, 2.0 * vectors))
table = repdiag.evaluate(found, ["uniformity"])
analysis = repdiag.analyze("small.pt", data="digits")
comparison = repdiag.compare({"small": "small.pt", "large": "large.pt"}, data="digits", reference="large")
page: Path = comparison.report("page.html")
said: str = analysis.summary + comparison.summary
