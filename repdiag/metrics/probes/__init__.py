"""Classifiers trained on frozen features of a bank."""

from repdiag.metrics.probes.linear_probe_accuracy import linear_probe_accuracy
from repdiag.metrics.probes.multilabel_probe import multilabel_probe
from repdiag.metrics.probes.probe_gap import probe_gap
from repdiag.metrics.probes.ridge_probe_accuracy import ridge_probe_accuracy

__all__ = ["linear_probe_accuracy", "multilabel_probe", "probe_gap", "ridge_probe_accuracy"]
