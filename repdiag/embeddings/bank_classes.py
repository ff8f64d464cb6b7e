"""The classes of a bank are those of the rows by their names, however either file numbers them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError

_SHOWN = 5


def with_classes_of(rows: EmbeddingSet, bank: EmbeddingSet) -> EmbeddingSet:
    """Return the bank with its classes named, or numbered, as those of the rows are; classes it lacks are said.

    A class without a name is called by its number. Raises `DataError` where rows and bank have no class in common.

    Example:
        >>> rows = EmbeddingSet(features=[[1.0], [2.0]], labels=[2, 10])
        >>> bank = EmbeddingSet(features=[[1.0], [2.0]], labels=[0, 1], class_names=("10", "2"))
        >>> with_classes_of(rows, bank).labels.tolist()
        [10, 2]
    """
    its_labels = bank.labels
    if rows.labels is None or its_labels is None:
        return bank
    mine, its = _given(rows), _given(bank)
    if not mine or not its:
        return bank
    lacking = [name for name in mine if name not in set(its)]
    if len(lacking) == len(mine):
        raise DataError(
            "the rows and their bank have no class in common",
            found=f"{_shown(mine)} of the rows; {_shown(its)} of the bank",
            hint="give both the same class names (--labels, --bank-labels, --label-column)",
        )
    if lacking:
        said = f"{len(lacking)} of {len(mine)} classes of the rows are not in it ({_shown(lacking)})"
        reading = bank.provenance.reading.with_notes(f"{said}: no neighbour can share these classes.")
        bank = replace(bank, provenance=replace(bank.provenance, reading=reading))
    if bank.class_names is None and rows.class_names is not None:
        return replace(bank, class_names=tuple(str(number) for number in range(int(its_labels.max()) + 1)))
    if bank.class_names is not None and rows.class_names is None:
        return _numbered(bank, bank.class_names, beyond=int(rows.labels.max()))
    return bank


def _given(found: EmbeddingSet) -> list[str]:
    """Return the names of the classes that occur."""
    assert found.labels is not None
    numbers = np.unique(found.labels[found.labels >= 0].cpu().numpy()).tolist()
    return [found.class_names[number] if found.class_names else str(number) for number in numbers]


def _numbered(bank: EmbeddingSet, names: tuple[str, ...], *, beyond: int) -> EmbeddingSet:
    """Return the bank with the numbers that its names are; other names get numbers that no class of the rows has."""
    assert bank.labels is not None
    numbers = [int(name) if name.isdecimal() else -1 for name in names]
    free = max(beyond, *numbers) + 1
    places = torch.tensor([number if number >= 0 else free + at for at, number in enumerate(numbers)])
    labels = torch.where(bank.labels >= 0, places.to(bank.labels.device)[bank.labels.clamp_min(0)], bank.labels)
    return replace(bank, labels=labels, class_names=None)


def _shown(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
