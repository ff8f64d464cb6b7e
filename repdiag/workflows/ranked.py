"""Which of the compared encoders to take, from what their analyses stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.errors import RepdiagError

if TYPE_CHECKING:
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.diagnosis.ranking import Ranking


def rank_stored(sets: Mapping[str, EmbeddingSet], folders: Mapping[str, Path], *, seed: int = 0) -> Ranking | None:
    """Return the encoders, read as `sets`, in order of the scores that follow a probe; their costs are in `folders`.

    None where there is a single one, or neither labels nor views to rank by.
    """
    from repdiag.core.encoder_cost import EncoderCost
    from repdiag.diagnosis.ranking import rank_encoders
    from repdiag.results.reading import read_record

    if len(sets) < 2:
        return None
    stored = {name: read_record(folder).get("cost") for name, folder in folders.items()}
    costs = {name: EncoderCost(**cost) for name, cost in stored.items() if cost}
    try:
        return rank_encoders(sets, costs, seed=seed)
    except RepdiagError:  # no labels and no views, or one class: nothing to rank by, as the metrics say
        return None
