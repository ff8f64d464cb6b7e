"""Which of the compared encoders to take, from what their analyses stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.errors import RepdiagError

if TYPE_CHECKING:
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.encoder_cost import EncoderCost
    from repdiag.diagnosis.ranking import Ranking


def stored_costs(folders: Mapping[str, Path]) -> dict[str, EncoderCost]:
    """Return what each encoder costs, where its analysis measured that."""
    from repdiag.core.encoder_cost import EncoderCost
    from repdiag.results.reading import read_record

    stored = {name: read_record(folder).get("cost") for name, folder in folders.items()}
    return {name: EncoderCost(**cost) for name, cost in stored.items() if cost}


def rank_stored(sets: Mapping[str, EmbeddingSet], costs: Mapping[str, EncoderCost], *, seed: int = 0) -> Ranking | None:
    """Return the encoders, read as `sets`, in order of the scores that follow a probe, with their costs.

    None where there is a single one, or neither labels nor views to rank by.
    """
    from repdiag.diagnosis.ranking import rank_encoders

    if len(sets) < 2:
        return None
    try:
        return rank_encoders(sets, costs, seed=seed)
    except RepdiagError:  # no labels and no views, or one class: nothing to rank by, as the metrics say
        return None
