"""Where results go when nobody says: into the run that they are of; of anything else, or of several, below runs/."""

from __future__ import annotations

from pathlib import Path

RUNS = Path("runs")


def default_place(kind: str, name: str | None = None, *, run: Path | None = None) -> Path:
    """Return RUN/KIND/NAME for what is of one training run, else runs/KIND/NAME; without a name the folder KIND.

    Example:
        >>> default_place("analysis", "last", run=Path("runs/mine")).as_posix()
        'runs/mine/analysis/last'
        >>> default_place("analysis", "org/resnet").as_posix()
        'runs/analysis/org-resnet'
        >>> default_place("compare").as_posix()
        'runs/compare'
    """
    place = (run or RUNS) / kind
    return place if name is None else place / name.replace("/", "-")
