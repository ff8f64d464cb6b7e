"""What other installed packages add through entry points; one that cannot be loaded is named and left out."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any, Literal

Group = Literal["repdiag.metrics", "repdiag.datasets", "repdiag.checkpoints", "repdiag.backbones"]

log = logging.getLogger(__name__)


@functools.cache
def installed(group: Group) -> Mapping[str, Any]:
    """Return what the entry points of a group name, by their names."""
    from importlib.metadata import entry_points

    found: dict[str, Any] = {}
    for entry in entry_points(group=group):
        try:
            found[entry.name] = entry.load()
        except Exception as error:  # whatever another package raises when it is imported
            what, said = group.removeprefix("repdiag."), str(error).partition("\n")[0]
            log.warning(
                "%s of %s cannot be loaded and are left out: %s: %s", what, entry.value, type(error).__name__, said
            )
    return found
