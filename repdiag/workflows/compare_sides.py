"""The encoders of a comparison, analyzed one after the other: by one process, or by several that share each of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from repdiag.core.errors import RepdiagError

if TYPE_CHECKING:
    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.speaking import Speaker

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of those compared: how it is analyzed, and whether a folder holds just that analysis already."""

    name: str
    analyze: Callable[[], Analysis]
    is_done: Callable[[Path], bool] = lambda _: False


def analyze_sides(
    sides: Sequence[Side],
    out: Path,
    *,
    save: Callable[..., object] | None,
    figures: bool,
    again: bool,
    told: Speaker,
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the folder of each analysis, and why others could not be made.

    Of several processes the first one saves, and says what is done already; all others take part without `save`.
    """
    from repdiag.core.distributed.machine import told_by_first_of_all
    from repdiag.results.transaction import recover

    folders: dict[str, Path] = {}
    failed: dict[str, str] = {}
    for place, side in enumerate(sides, start=1):
        folder = out / "checkpoints" / side.name.replace("/", "-")
        done = False
        if save is not None:
            recover(folder)
            drawn = not figures or (folder / "figures").is_dir()
            done = not again and drawn and side.is_done(folder)
        if not told_by_first_of_all(done):
            told.say(f"{place} of {len(sides)}: {side.name}")
            try:
                analysis = side.analyze()
            except Exception as error:  # whatever is wrong with one file, or with a user's own code, the rest goes on
                known = isinstance(error, RepdiagError)
                failed[side.name] = str(error) if known else f"{type(error).__name__}: {error}"
                told.say(f"left out {side.name}: {failed[side.name]}")
                _LOG.info("while analyzing %s", side.name, exc_info=not known)
                continue
            if save is not None:
                save(analysis, folder)
        folders[side.name] = folder
    return folders, failed


def of_the_first(found: T | None) -> T:
    """Return what the first process has found, once it has: its work of joining may take longer than others wait."""
    from typing import cast

    from repdiag.core.distributed.first_process import process_count
    from repdiag.core.distributed.machine import told_by_first_of_all
    from repdiag.core.distributed.world import World

    World(size=process_count()).wait_for_long_work()
    return cast("T", told_by_first_of_all(found))
