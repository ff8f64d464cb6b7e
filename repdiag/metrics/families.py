"""Imports every metric family once, so that each registers its metrics."""

from repdiag.metrics import (  # noqa: F401
    classes,
    clusters,
    hypersphere,
    neighbors,
    pretext,
    similarity,
    spectrum,
)
