"""Which columns of a table are labels, parts and groups: those that are named, or those whose names say so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from repdiag.core.errors import DataError, UsageError, unknown_name
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.sources.listing import label_or_none, part_or_none

LABELS = (
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "category",
    "target",
    "species",
    "diagnosis",
    "dx",
    "cls",
    "y",
    "label_name",
    "class_id",
    "label_id",
)
_SPLITS = ("split", "subset", "set", "partition", "phase", "usage", "part", "data_split", "fold", "dataset")
_IS_TRAIN = ("is_train", "is_training", "is_training_img", "is_training_image")
_GROUPS = tuple(
    f"{name}{end}"
    for name in ("group", "patient", "subject", "scene", "video", "slide", "lesion", "session", "participant", "site")
    for end in ("", "_id", "id", "s")
)
_IDS = ("id", "index", "idx", "unnamed: 0", "url", "caption", "text", "width", "height", "filename", "file_name")
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class RowColumns:
    """What each row of a table says, and how that was found."""

    labels: tuple[str | None, ...]
    parts: tuple[str | None, ...]
    groups: tuple[str, ...] | None
    notes: tuple[ReadingNote, ...] = field(default=())


def read_columns(frame: pd.DataFrame, options: Mapping[str, str], *, image: str | None, where: str) -> RowColumns:
    """Return labels, parts and groups of a table's rows.

    Options name columns (`label=species`); `label=none` wants no labels. A column that no option names is taken where
    its name is a usual one, or where nothing else can be the labels; several that can are refused by name.
    """
    for option in ("label", "split", "group"):
        name = options.get(option)
        if name not in (None, NONE, *frame.columns):
            raise unknown_name(f"column for {option}= in {where}", str(name), map(str, frame.columns))
    split, parts = _split_column(frame, options, where)
    group = _named(frame, options.get("group"), _GROUPS, skip=(split,))
    label, labels = _label_column(frame, options, skip=(image, split, group), where=where)
    used = {"image": image, "label": label, "split": split, "group": group}
    said = ", ".join(f"{option}={name}" for option, name in used.items() if name)
    unread = [
        str(name) for name in frame.columns if name not in used.values() and str(name) not in (label or "").split("+")
    ]
    tail = f"; not read: {', '.join(unread[:6])}{', ...' if len(unread) > 6 else ''}" if unread else ""
    notes = [ReadingNote(what=f"columns: {said or 'none'}{tail}")]
    if group is not None and split is None:
        notes.append(ReadingNote(what=f"val is drawn so that rows of one {group} stay together (group=none leaves it)"))
    notes += _several_in_one(labels)
    groups = None if group is None else tuple(str(value) for value in frame[group])
    return RowColumns(labels=labels, parts=parts, groups=groups, notes=tuple(notes))


def _several_in_one(labels: Sequence[str | None]) -> list[ReadingNote]:
    """Return a note where labels such as a|b are made of others: an image of several classes is one of its own here."""
    present = {label for label in labels if label is not None}
    joined = [
        one for one in sorted(present) if len(pieces := re.split(r"\s*[|;,]\s*", one)) > 1 and set(pieces) & present
    ]
    if not joined:
        return []
    what = f"of several names at once, such as {joined[0]}, each taken for a class of its own"
    return [ReadingNote(what=what, count=len(joined), of="labels")]


def _named(frame: pd.DataFrame, asked: str | None, usual: Sequence[str], *, skip: Sequence[str | None]) -> str | None:
    if asked is not None:
        return None if asked == NONE else asked
    small = {str(name).strip().lower().replace(" ", "_"): str(name) for name in frame.columns if name not in skip}
    return next((small[name] for name in usual if name in small), None)


def _split_column(
    frame: pd.DataFrame, options: Mapping[str, str], where: str
) -> tuple[str | None, tuple[str | None, ...]]:
    name = _named(frame, options.get("split"), (*_SPLITS, *_IS_TRAIN), skip=())
    nothing: tuple[None, ...] = (None,) * len(frame)
    if name is None:
        return None, nothing
    truth = {"1": "train", "true": "train", "0": "test", "false": "test"}
    if name.lower() in _IS_TRAIN:
        parts: tuple[str | None, ...] = tuple(truth.get(str(value).strip().lower()) for value in frame[name])
    else:
        parts = tuple(part_or_none(value) for value in frame[name])
    strange = sorted({str(value) for value, part in zip(frame[name], parts, strict=True) if part is None})
    if not strange:
        return name, parts
    if options.get("split") is None:
        return None, nothing  # a column of folds or of something else: it is named among those that are not read
    raise DataError(
        f"the column {name} of {where} holds {len(strange)} values that name no part",
        found=", ".join(strange[:5]),
        hint="train, training, val, valid, validation, test, testing or eval",
    )


def _label_column(
    frame: pd.DataFrame, options: Mapping[str, str], *, skip: Sequence[str | None], where: str
) -> tuple[str | None, tuple[str | None, ...]]:
    nothing: tuple[None, ...] = (None,) * len(frame)
    if options.get("label") == NONE:
        return None, nothing
    name = _named(frame, options.get("label"), LABELS, skip=skip)
    if name is not None:
        labels = tuple(label_or_none(value) for value in frame[name])
        _refuse_numbers(labels, name, where)
        return name, labels
    others = [str(one) for one in frame.columns if one not in skip and str(one).lower() not in _IDS]
    one_hot = _one_hot(frame, others)
    if one_hot is not None:
        return one_hot
    candidates = [one for one in others if 2 <= frame[one].nunique() <= max(2, len(frame) // 2)]
    if len(candidates) == 1:
        return candidates[0], tuple(label_or_none(value) for value in frame[candidates[0]])
    if not candidates:
        return None, nothing
    raise UsageError(
        f"{len(candidates)} columns of {where} may hold the labels",
        found=", ".join(candidates[:8]),
        hint=f"name one after the path: ,label={candidates[0]}; or ,label=none",
    )


def _one_hot(frame: pd.DataFrame, names: Sequence[str]) -> tuple[str, tuple[str | None, ...]] | None:
    """Return the classes of columns that hold a 1 in exactly one of them in every row, as some challenges write it."""
    if len(names) < 2:
        return None
    numbers = frame[list(names)].apply(pd.to_numeric, errors="coerce")
    binary = [name for name in names if numbers[name].isin([0, 1]).all()]
    if len(binary) < 2 or not (numbers[binary].sum(axis=1) == 1).all():
        return None
    return "+".join(binary), tuple(str(value) for value in numbers[binary].idxmax(axis=1))


def _refuse_numbers(labels: Sequence[str | None], name: str, where: str) -> None:
    """Refuse a column of measurements: fractions are no classes."""
    present = {label for label in labels if label is not None}
    fractions = sorted(label for label in present if _is_fraction(label))
    if len(fractions) > 2:
        raise DataError(
            f"the column {name} of {where} holds numbers instead of classes",
            found=", ".join(fractions[:5]),
            hint="name another: ,label=COLUMN after the path; or ,label=none",
        )


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):
        return False
