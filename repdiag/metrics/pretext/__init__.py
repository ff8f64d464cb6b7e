"""The pretext task: can an image find its own view?"""

from repdiag.metrics.pretext.contrast_accuracy import contrast_accuracy
from repdiag.metrics.pretext.info_nce import info_nce
from repdiag.metrics.pretext.instance_discrimination_accuracy import instance_discrimination_accuracy
from repdiag.metrics.pretext.pretext_gap import pretext_gap

__all__ = ["contrast_accuracy", "info_nce", "instance_discrimination_accuracy", "pretext_gap"]
