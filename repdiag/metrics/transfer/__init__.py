"""Scores that say how well an encoder's features would serve a classifier, without training one."""

from repdiag.metrics.transfer.gbc import gbc
from repdiag.metrics.transfer.h_score import h_score
from repdiag.metrics.transfer.logme import logme

__all__ = ["gbc", "h_score", "logme"]
