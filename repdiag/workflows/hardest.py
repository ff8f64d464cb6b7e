"""The images that an encoder gets most wrong, each with its nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.results.thumbnails import thumbnail_key

IMAGES = 12
NEIGHBORS = 6
ROWS = 10_000  # of larger sets the first ones: a few hard images are wanted, not the hardest of all


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One image: its tile in the sheet of thumbnails (-1: none), and whether it is of the class in question."""

    row_id: str
    class_name: str
    tile: int
    agrees: bool = True


@dataclass(frozen=True, kw_only=True)
class HardImage:
    """One image, nearest neighbours first, and how much nearer another class is than its own (cosine)."""

    image: Shown
    excess: float
    neighbors: tuple[Shown, ...]


def hardest_images(found: EmbeddingSet, *, split: str, tiles: Mapping[str, int]) -> tuple[HardImage, ...]:
    """Return the images whose neighbours are farthest from their class: of the nearest `NEIGHBORS`, hardly any agrees.

    Ordered by how many neighbours agree, then by the cosine of the nearest of another class minus that of the nearest
    one of the own class among the neighbours.
    """
    from repdiag.metrics.pairwise import TopK, over_pairs, unit_rows

    if found.labels is None or found.row_ids is None or len(found) <= NEIGHBORS:
        return ()
    part = found.select(range(min(len(found), ROWS)))
    assert part.labels is not None
    assert part.row_ids is not None
    top = over_pairs(unit_rows(part.features), TopK(NEIGHBORS))
    labels = part.labels.cpu()
    index = top.index.cpu()
    agree = labels[index] == labels[:, None]
    cosine = top.score.cpu().double()
    own = torch.where(agree, cosine, cosine[:, -1:]).amax(dim=1)
    other = torch.where(agree, -1.0, cosine).amax(dim=1)
    excess = other - own
    order = torch.argsort(agree.sum(dim=1).double() - (excess.clamp(-1, 1) + 1) / 3, stable=True)[:IMAGES]

    def shown(row: int, agrees: bool = True) -> Shown:
        label, row_id = int(labels[row]), str(part.row_ids[row])  # type: ignore[index]
        name = part.class_name(label)
        return Shown(row_id=row_id, class_name=name, tile=tiles.get(thumbnail_key(split, row_id), -1), agrees=agrees)

    return tuple(
        HardImage(
            image=shown(row),
            excess=float(excess[row]),
            neighbors=tuple(shown(int(at), bool(same)) for at, same in zip(index[row], agree[row], strict=True)),
        )
        for row in order.tolist()
        if not bool(agree[row].all())
    )
