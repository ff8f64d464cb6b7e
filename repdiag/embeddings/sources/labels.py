"""Labels as they come: numbers, text, one-hot rows, several a row, none; and whether two sets of them agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.arrays import listed, to_array, to_class_numbers
from repdiag.core.errors import DataError
from repdiag.embeddings.sources.vector_options import VectorOptions

Integers = NDArray[np.int64]
NONE = -1
_FEW = 10
_OFTEN_NONE = frozenset((99, 255, 999, 9999, 65535))  # far beyond the other labels, such a number is often "ignore"
_BYTE_NONE = 255  # what masks of segmentation hold where pixels are to be ignored
_ORDER = "give both files a column of row names (id, path), to join them; or leave out the wrong labels"
_SOUND_LIKE_NONE = frozenset(
    (
        *("unknown", "unlabeled", "unlabelled", "unassigned", "undefined", "unidentified", "unclassified", "missing"),
        *("ignore", "void", "no label", "no_label", "not labelled", "not labeled", "not available", "?", "-"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Numbers of classes [N], -1 where there is none, or a matrix [N, C] of zeros and ones; and what is to be said."""

    numbers: Integers | None = None
    matrix: Integers | None = None
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def take(self, rows: Integers) -> Labels:
        """Return the labels of the given rows, in that order."""
        picked = (None if one is None else one[rows] for one in (self.numbers, self.matrix))
        numbers, matrix = picked
        return Labels(numbers=numbers, matrix=matrix, class_names=self.class_names, notes=self.notes)


def read_labels(values: Any, options: VectorOptions) -> Labels:
    """Return labels of any kind; what stands for no label is counted and said.

    Raises `DataError` for what are no labels: numbers with fractions, shares instead of zeros and ones.
    """
    if isinstance(values, list) and values and isinstance(values[0], tuple):
        return _sets(values)
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else _array(values)
    if array.ndim == 2:
        return _matrix(array, options)
    if array.ndim == 1 and array.dtype.kind in "OSU":
        return _texts(array, options)
    return _numbers(array, options)


def _array(values: Any) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        objects: NDArray[Any] = values.data.astype(object)
        objects[np.ma.getmaskarray(values)] = None
        return objects
    found = values if isinstance(values, np.ndarray) else np.asarray(values)
    if found.dtype.kind == "O" and found.ndim == 1:
        return found
    return to_array("labels", found)


def _numbers(array: NDArray[Any], options: VectorOptions) -> Labels:
    none = {int(value) for value in options.stand_for_none() if value.lstrip("-").isdecimal()}
    missing = np.zeros(array.shape, dtype=np.bool_)
    if array.dtype.kind == "f":
        missing = np.isnan(array)
        array = np.where(missing, 0.0, array)
    numbers = to_class_numbers("labels", np.ascontiguousarray(array)).numpy()
    given = np.unique(numbers[~missing])
    notes: list[str] = []
    if options.unlabelled is None and array.dtype == np.uint8 and _ends_in_ignore(given):
        none.add(_BYTE_NONE)
    if set(given.tolist()) == {-1, 1}:
        notes.append("the labels are -1 and 1: both are classes.")
        none = set()
    elif options.unlabelled is None and -1 in given and bool(((given < 0) & ~np.isin(given, sorted(none))).any()):
        notes.append("there are negative labels beside -1, which is a class as well (--unlabelled -1 says no).")
        none.discard(-1)
    said = [str(value) for value in sorted(none) if value in given]
    missing |= np.isin(numbers, sorted(none))
    if missing.any():
        notes.append(_unlabelled(int(missing.sum()), len(missing), said or ["NaN"]))
    kept = numbers[~missing]
    notes += _often_none(kept, told=options.unlabelled is not None)
    if len(kept) and int(kept.min()) < 0:  # other negative numbers are classes, which need numbers from 0 on
        names, places = np.unique(kept, return_inverse=True)
        filled = np.full(len(numbers), NONE, dtype=np.int64)
        filled[~missing] = places
        return Labels(numbers=filled, class_names=tuple(str(name) for name in names), notes=tuple(notes))
    return Labels(numbers=np.where(missing, NONE, numbers), notes=tuple(notes))


def _ends_in_ignore(given: Integers) -> bool:
    """Say whether labels in bytes, ascending, end in an "ignore": 0 and 255 alone are the two classes of a mask."""
    return len(given) > 2 and int(given[-1]) == _BYTE_NONE and int(given[-2]) < _BYTE_NONE - 1


def _often_none(kept: Integers, *, told: bool) -> list[str]:
    """Return a note where the largest label is one that often means "ignore", beyond a gap or beyond 0, 1, 2, ..."""
    given = np.unique(kept)
    if told or len(given) < 2 or int(given[-1]) not in _OFTEN_NONE:
        return []
    before, last = int(given[-2]), int(given[-1])
    counted = before < last - 1 and before - int(given[0]) == len(given) - 2
    if not counted and 2 * before >= last:
        return []
    return [f"{int((kept == last).sum())} rows are labelled {last}: taken as a class (--unlabelled {last} says no)."]


def _texts(array: NDArray[Any], options: VectorOptions) -> Labels:
    texts = [_text(value) for value in array]
    none = set(options.stand_for_none())
    absent = np.asarray([text is None or text in none for text in texts], dtype=np.bool_)
    notes: list[str] = []
    given = {text for text in texts if text is not None}
    if given == {"-1", "1"}:
        return _numbers(np.asarray([int(text) if text else 0 for text in texts]), options)
    if absent.any():
        said = Counter(
            repr(text) if text is not None else "None" for text, is_one in zip(texts, absent, strict=True) if is_one
        )
        notes.append(_unlabelled(int(absent.sum()), len(absent), sorted(said)))
    kept = [text for text, is_one in zip(texts, absent, strict=True) if not is_one and text is not None]
    alike = sorted({text for text in kept if text.lower() in _SOUND_LIKE_NONE})
    if alike:
        count = sum(text in alike for text in kept)
        notes.append(
            f"{count} rows are labelled {', '.join(alike)}: taken as a class (--unlabelled '{alike[0]}' says no)."
        )
    numbers = np.full(len(texts), NONE, dtype=np.int64)
    if array.dtype.kind == "O" and kept and all(_is_number(text) for text in kept):
        numbers[~absent] = [int(text) for text in kept]
        notes += _often_none(numbers[~absent], told=options.unlabelled is not None)
        return Labels(numbers=numbers, notes=tuple(notes))
    names, places = np.unique(np.asarray(kept, dtype=str), return_inverse=True)
    numbers[~absent] = places
    if len(names) == len(kept) > _FEW:
        notes.append(f"each of {len(kept)} rows has a label of its own: are these names of rows, and no classes?")
    return Labels(numbers=numbers, class_names=tuple(str(name) for name in names), notes=tuple(notes))


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 18 and (text == "0" or text[0] != "0")


def _unlabelled(count: int, rows: int, said: Sequence[str]) -> str:
    return (
        f"{count} of {rows} rows are unlabelled ({', '.join(said[:4])}): what needs labels leaves them out "
        "(--unlabelled none takes every value as a class)."
    )


def _matrix(array: NDArray[Any], options: VectorOptions) -> Labels:
    if array.shape[1] == 1:
        return read_labels(array[:, 0], options)
    if array.dtype.kind not in "biuf" or not bool(np.isin(array, (0, 1)).all()):
        hint = "shares of classes: give labels.argmax(axis=1)"
        raise DataError(
            "labels [rows, classes] must be zeros and ones", found=f"{array.shape} {array.dtype}", hint=hint
        )
    ones = array.astype(np.int64)
    each = ones.sum(axis=1)
    if bool((each == 1).all()):
        note = f"the labels are one-hot: each row has one of {array.shape[1]} classes."
        return Labels(numbers=ones.argmax(axis=1), notes=(note,))
    return Labels(matrix=ones, notes=(_several(each, array.shape[1]),))


def _sets(values: Sequence[tuple[Any, ...]]) -> Labels:
    """Return lists of labels, any number a row, as a matrix over all that occur."""
    if all(len(row) == 1 for row in values):
        return read_labels(np.asarray([row[0] for row in values], dtype=object), VectorOptions())
    names = sorted({str(label) for row in values for label in row})
    places = {name: place for place, name in enumerate(names)}
    ones = np.zeros((len(values), len(names)), dtype=np.int64)
    for number, row in enumerate(values):
        ones[number, [places[str(label)] for label in row]] = 1
    return Labels(matrix=ones, class_names=tuple(names), notes=(_several(ones.sum(axis=1), len(names)),))


def _several(each: Integers, classes: int) -> str:
    none = int((each == 0).sum())
    without = f"; {none} rows have none" if none else ""
    return (
        f"the rows have several labels each (0 to {int(each.max())} of {classes}, {each.mean():.1f} on average)"
        f"{without}: "
        "metrics that need one class per row are not computed."
    )


def contradictions(first: Any, second: Any) -> NDArray[Any]:
    """Return the rows [K] in which two labellings of the same rows cannot both be right.

    Names and numbers of classes may differ, and one labelling may be finer than the other: then each class of one
    goes with one class of the other. Where the names are the same, a row contradicts when its two labels differ.
    """
    one, other = (_codes(values) for values in (first, second))
    if len(one[0]) != len(other[0]):
        raise DataError("the numbers of labels differ", found=f"{len(one[0])} and {len(other[0])}")
    known = np.flatnonzero((one[0] >= 0) & (other[0] >= 0))
    a, b = one[0][known], other[0][known]
    if len(known) == 0:
        return known
    names_a, names_b = (set(found[1][np.unique(found[0][known])]) for found in (one, other))
    alike = names_a <= names_b or names_b <= names_a
    bad = min(_off_majority(a, b), _off_majority(b, a), key=len)
    # Numbers are codes, of which two tools may give the same class different ones; names are names.
    if len(bad) == 0 and not (alike and one[2] and other[2]):
        return np.asarray(known[bad])
    return np.asarray(known[one[1][a] != other[1][b]] if alike else known[bad])


def _off_majority(a: Integers, b: Integers) -> Integers:
    """Return the rows whose b is not the one that most rows of their a have."""
    width = int(b.max()) + 1
    pairs, counts = np.unique(a * width + b, return_counts=True)
    order = np.argsort(counts, kind="stable")
    best = np.zeros(int(a.max()) + 1, dtype=np.int64)
    best[pairs[order] // width] = pairs[order] % width
    return np.flatnonzero(best[a] != b)


def _codes(values: Any) -> tuple[Integers, NDArray[Any], bool]:
    """Return numbers [N], -1 for none, their names as text, and whether these are names and not codes."""
    found = values if isinstance(values, Labels) else read_labels(values, VectorOptions())
    if found.numbers is None:
        raise DataError("several labels per row are not compared")
    numbers = found.numbers
    if found.class_names is not None:
        return numbers, np.asarray(found.class_names, dtype=object), True
    given, places = np.unique(numbers, return_inverse=True)
    names = np.asarray([str(number) for number in given], dtype=object)
    return np.where(numbers == NONE, -1, places).astype(np.int64), names, False


def expect_agreement(
    first: Any, second: Any, *, what: str, rows: Sequence[Any] | None = None, hint: str = _ORDER
) -> None:
    """Raise `DataError` where two labellings of the same rows contradict each other, with how many and the first."""
    wrong = contradictions(first, second)
    if len(wrong) == 0:
        return
    named = listed(wrong.tolist()) if rows is None else ", ".join(str(rows[row]) for row in wrong[:5])
    total = len(_codes(first)[0])
    raise DataError(
        f"the labels of {what} contradict each other: their rows differ, or are in another order",
        found=f"{len(wrong)} of {total} rows, the first: {named}",
        hint=hint,
    )
