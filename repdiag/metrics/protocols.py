"""Protocols: named lists of metrics with settings, so that a published table is made again by one word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from repdiag.core.errors import unknown_name
from repdiag.metrics.algebra.positive_pairs import PAIRS

Request = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What one publication measured, by its own estimators: (metric, settings) in the order of its tables."""

    name: str
    summary: str
    requests: tuple[Request, ...]


SHI2022 = Protocol(
    name="shi2022",
    summary="Shi et al. 2022, by the estimators of their code: uniformity from 3 x 128 rows, best NN over odd k to 101",
    requests=(
        *(("alignment", {"pair": pair, "alpha": 2.0}) for pair in PAIRS),
        ("intra_class_distance", {"average": "classes"}),
        ("uniformity_subsampled", {"t": 2.0, "size": 128, "subsets": 3}),
        *(("instance_discrimination_accuracy", {"pair": pair, "k": k}) for pair in PAIRS for k in range(1, 6)),
        *(("pretext_gap", {"pair": pair, "k": 1}) for pair in PAIRS),
        *(("best_nn", {"max_k": 101, "normalize": normalize}) for normalize in (False, True)),
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in (SHI2022,)}


def get_protocol(name: str) -> Protocol:
    """Return one protocol; a typo gets the nearest name."""
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
