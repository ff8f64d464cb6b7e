"""Uncertainty of every value: intervals for one checkpoint, paired tests for two."""

from repdiag.metrics.inference.compare import compare
from repdiag.metrics.inference.means import difference_interval
from repdiag.metrics.inference.paired import PairedTest, holm, mcnemar, paired_test
from repdiag.metrics.inference.with_interval import with_interval

__all__ = [
    "PairedTest",
    "compare",
    "difference_interval",
    "holm",
    "mcnemar",
    "paired_test",
    "with_interval",
]
