"""Metrics of unit rows on the hypersphere."""

from repdiag.metrics.hypersphere.alignment import alignment
from repdiag.metrics.hypersphere.alignment_margin import alignment_margin
from repdiag.metrics.hypersphere.mean_cosine import mean_cosine
from repdiag.metrics.hypersphere.tolerance import tolerance
from repdiag.metrics.hypersphere.uniformity import uniformity
from repdiag.metrics.hypersphere.uniformity_subsampled import uniformity_subsampled

__all__ = [
    "alignment",
    "alignment_margin",
    "mean_cosine",
    "tolerance",
    "uniformity",
    "uniformity_subsampled",
]
