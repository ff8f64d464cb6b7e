"""Classifiers trained on frozen features of a bank."""

from repdiag.metrics.probes.linear_probe_accuracy import linear_probe_accuracy

__all__ = ["linear_probe_accuracy"]
