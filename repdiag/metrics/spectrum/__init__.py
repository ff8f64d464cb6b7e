"""The spectrum of the feature matrix."""

from repdiag.metrics.spectrum.alpha_req import alpha_req
from repdiag.metrics.spectrum.coherence import coherence
from repdiag.metrics.spectrum.effective_rank import effective_rank
from repdiag.metrics.spectrum.lidar import lidar
from repdiag.metrics.spectrum.nesum import nesum
from repdiag.metrics.spectrum.participation_ratio import participation_ratio
from repdiag.metrics.spectrum.pseudo_condition_number import pseudo_condition_number
from repdiag.metrics.spectrum.rankme import rankme
from repdiag.metrics.spectrum.self_clustering import self_clustering
from repdiag.metrics.spectrum.singular_spectrum import singular_spectrum
from repdiag.metrics.spectrum.stable_rank import stable_rank

__all__ = [
    "alpha_req",
    "coherence",
    "effective_rank",
    "lidar",
    "nesum",
    "participation_ratio",
    "pseudo_condition_number",
    "rankme",
    "self_clustering",
    "singular_spectrum",
    "stable_rank",
]
