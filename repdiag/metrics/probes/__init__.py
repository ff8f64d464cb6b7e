"""Classifiers trained on frozen features of a bank."""

from repdiag.metrics.probes.linear_probe_accuracy import linear_probe_accuracy
from repdiag.metrics.probes.multilabel_probe import multilabel_probe

__all__ = ["linear_probe_accuracy", "multilabel_probe"]
