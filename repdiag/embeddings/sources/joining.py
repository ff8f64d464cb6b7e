"""Rows of two sources, put together by their names; never by their order where both have names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdiag.core.errors import DataError

Names = NDArray[Any]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Join:
    """For each row of the first source, its row in the second; by which columns, and what is to be said of it."""

    rows: Integers
    by: str
    notes: tuple[str, ...] = ()


def join(first: Mapping[str, Names], second: Mapping[str, Names], *, names: tuple[str, str]) -> Join | None:
    """Return where the rows of the first source lie in the second; None where either has no names of rows.

    `first` and `second` hold names of rows by the column they come from; a column of the same name is tried first.
    Names are compared as they are, then as numbers, then without folders, then without endings. Raises `DataError`
    where no pair of columns names all rows of the first source, and where a name is there twice.
    """
    if not first or not second:
        return None
    pairs = sorted(((a, b) for a in first for b in second), key=lambda pair: pair[0].lower() != pair[1].lower())
    best: tuple[int, str, str] | None = None
    for a, b in pairs:
        for how, simplify in _WAYS:
            here = simplify(first[a])
            if how and len(np.unique(here)) < len(np.unique(_as_text(first[a]))):
                continue  # what was cut off told rows apart
            places = _places(here, simplify(second[b]))
            if places is None:
                continue
            missing = int((places < 0).sum())
            if missing == 0:
                return _found(places, second[b], columns=(a, b), how=how, names=names)
            if best is None or missing < best[0]:
                best = (missing, a, b)
    if best is None:
        expect_unique(second[pairs[0][1]], of=f"{names[1]} ({pairs[0][1]})")
    assert best is not None
    raise _differ(first, second, best, names=names)


def join_if_all(first: Mapping[str, Names], second: Mapping[str, Names], *, names: tuple[str, str]) -> Join | None:
    """Return the join by any two columns in which each row of the first source is found; None where there are none."""
    for a in first:
        for b in second:
            try:
                return join({a: first[a]}, {b: second[b]}, names=names)
            except DataError:
                continue
    return None


def _found(places: Integers, there: Names, *, columns: tuple[str, str], how: str, names: tuple[str, str]) -> Join:
    a, b = columns
    by = a if a == b else f"{a} = {b}"
    notes = []
    in_order = len(places) == len(there) and bool((places == np.arange(len(places))).all())
    if not in_order or how:
        notes.append(f"rows of {names[0]} and {names[1]} were joined by {by}{how}.")
    unused = len(there) - len(np.unique(places))
    if unused:
        notes.append(f"{unused} rows of {names[1]} belong to no row of {names[0]}, and were left out.")
    return Join(rows=places, by=by, notes=tuple(notes))


def _differ(
    first: Mapping[str, Names], second: Mapping[str, Names], best: tuple[int, str, str], *, names: tuple[str, str]
) -> DataError:
    _, a, b = best
    texts = set(_as_text(second[b]).tolist())
    absent = [name for name in _as_text(first[a]).tolist() if name not in texts]
    shown = ", ".join(absent[:5])
    example = ", ".join(_as_text(second[b])[:3].tolist())
    return DataError(
        f"{names[0]} and {names[1]} do not name the same rows",
        found=f"{len(absent)} of {len(first[a])} names ({a}) are not in {names[1]} ({b}): {shown}; there are {example}",
        hint="give both files the same names, or leave the column of names out of one where the order is the same",
    )


def _places(first: Names, second: Names) -> Integers | None:
    """Return where each name lies in the second array, -1 where it does not; None where that is not unique."""
    if len(first) == len(second) and bool((first == second).all()):
        return np.arange(len(first))
    order = np.argsort(second, kind="stable")
    ordered = second[order]
    if len(ordered) == 0:
        return np.full(len(first), -1)
    spots = np.searchsorted(ordered, first).clip(max=len(ordered) - 1)
    hit = ordered[spots] == first
    twice = np.zeros(len(ordered), dtype=np.bool_)
    twice[:-1] = ordered[1:] == ordered[:-1]
    if bool(twice[spots[hit]].any()):
        return None
    return np.where(hit, order[spots], -1).astype(np.int64)


def _as_text(names: Names) -> Names:
    return np.char.strip(names.astype(str))


def _as_numbers(names: Names) -> Names:
    """Return names of digits as numbers, 007 as 7; all others as they are."""
    return np.asarray([str(int(name)) if name.isdecimal() else name for name in _as_text(names).tolist()], dtype=str)


def _without_folder(names: Names) -> Names:
    return np.asarray([_base(name) for name in _as_text(names).tolist()], dtype=str)


def _without_ending(names: Names) -> Names:
    return np.asarray([_base(name).rpartition(".")[0] or _base(name) for name in _as_text(names).tolist()], dtype=str)


def _base(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


_WAYS: tuple[tuple[str, Callable[[Names], Names]], ...] = (
    ("", _as_text),
    (" as numbers", _as_numbers),
    (" without folders", _without_folder),
    (" without folders and endings", _without_ending),
)


def expect_unique(names: Names, *, of: str) -> None:
    """Raise `DataError` where a name is there twice, with how many and the first few."""
    found, counts = np.unique(_as_text(names), return_counts=True)
    if int(counts.max(initial=0)) > 1:
        twice = found[counts > 1].tolist()
        raise DataError(f"{of} has names of rows twice", found=f"{len(twice)}, the first: {', '.join(twice[:5])}")
