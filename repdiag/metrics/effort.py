"""How much work makes a number sure: the whole of it, or about a tenth, for wider intervals.

Quick work computes the same metrics by the same definitions: k-means runs once from one start, at fewer numbers of
clusters, and fewer parts of the rows stand behind an interval, whose quantile of Student's t says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Repetitions:
    """What is done again and again behind values and intervals.

    `settings` replace the defaults of metrics that have settings of these names. `factors` are the numbers of clusters
    of the over-cluster curve, as multiples of the number of classes. `replicates` are half-samples, `blocks` those of a
    jackknife, `splits` random splits into halves. `clustered` is the most rows x dimensions x classes that are
    clustered, `pieced_classes` the most classes that are cut into pieces by the gap statistic (None: all), `deals` how
    often the folds of held-out bisection are dealt.
    """

    settings: Mapping[str, int] = field(default_factory=dict)
    factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    replicates: int = 20
    blocks: int = 30
    splits: int = 20
    clustered: int = 2**35  # some 15 minutes of one core for the curve and its intervals
    pieced_classes: int | None = None
    deals: int = 5


THOROUGH = Repetitions()
QUICK = Repetitions(
    settings={"seeds": 1, "restarts": 1},
    factors=(0.5, 1.0, 2.0, 4.0),
    replicates=5,
    blocks=10,
    splits=6,
    clustered=2**33,
    pieced_classes=20,
    deals=1,
)

_EFFORT: ContextVar[Repetitions] = ContextVar("repdiag_effort", default=THOROUGH)


def current_effort() -> Repetitions:
    """Return the repetitions of the enclosing block: all of it, unless told otherwise."""
    return _EFFORT.get()


@contextmanager
def at_effort(*, quick: bool) -> Iterator[None]:
    """Evaluate what is in the block with the whole effort, or quickly; a quick block stays so all the way in."""
    token = _EFFORT.set(QUICK if quick else _EFFORT.get())
    try:
        yield
    finally:
        _EFFORT.reset(token)
