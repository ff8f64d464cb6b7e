"""Typical values of the headline metrics: what they were for encoders whose quality is known."""

from __future__ import annotations

from collections.abc import Mapping

TYPICAL_SOURCE = ""
TYPICAL: Mapping[str, tuple[tuple[str, str], ...]] = {}
