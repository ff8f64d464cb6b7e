"""Which part of the data a name means, and the parts that are drawn where there are none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from repdiag.core.errors import DataError
from repdiag.data.counter_rng import CounterStream, row_keys
from repdiag.data.image_split import ImageSplit, first_of_each_class

VAL_SHARE = 0.2
"""Part of each class that data without parts give to val: at least one image, and never the only one."""
_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": ("train", "training"),
        "val": ("val", "valid", "validate", "validation", "dev"),
        "test": ("test", "testing", "eval", "evaluation"),
    }
)
_FILLERS = frozenset({"set", "images", "image", "imgs", "img", "data", "split", "fold", "part"})
PARTS_HINT = "train or training; val, valid, validation, test, testing or eval"


class NoTrainPartError(DataError):
    """The data have a part to validate on and none to train on."""


def part_of(name: str) -> str | None:
    """Return "train", "val" or "test" for the usual names of parts in any case, such as `Training` or `val2017`."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word and word not in _FILLERS]
    if len(words) != 1:
        return None
    word = words[0].removesuffix("set")
    return next((part for part, names in _WORDS.items() if word in names), None)


def parts_among(names: Iterable[str], where: str) -> dict[str, str]:
    """Return the names that are parts, by part; raise `DataError` where two are the same part.

    Names that share everything but the part count as well where train is among them, such as seg_train and seg_test.
    """
    names = list(names)
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        part = part_of(name)
        if part is not None:
            found[part].append(name)
    if not found:
        found = _with_a_common_rest(names)
    for part, twice in found.items():
        if len(twice) > 1:
            raise DataError(
                f"{where} has {len(twice)} parts for {part}", found=", ".join(twice), hint="keep or rename one of them"
            )
    return {part: twice[0] for part, twice in found.items()}


def _with_a_common_rest(names: Iterable[str]) -> dict[str, list[str]]:
    by_rest: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        words = re.findall(r"[a-z]+|[^a-z]+", name.lower())
        for place, word in enumerate(words):
            part = part_of(word) if word.isalpha() else None
            if part is not None:
                by_rest["".join((*words[:place], "*", *words[place + 1 :]))][part].append(name)
    best = max(by_rest.values(), key=len, default={})
    return dict(best) if len(best) >= 2 and "train" in best else {}


def chosen_part(parts: Mapping[str, str], split: str, where: str) -> tuple[str, bool]:
    """Return the part that is read for a split, and whether the split is to be drawn from it.

    val is the part val, or else test; where there is only a part train, val is drawn from it. Raises `NoTrainPartError`
    for train where there is only val or test.
    """
    if split == "val" and "train" in parts and len(parts) == 1:
        return parts["train"], True
    if split == "train":
        if "train" in parts:
            return parts["train"], len(parts) == 1
        raise NoTrainPartError(
            f"{where} has no train split",
            found=", ".join(parts.values()),
            hint=f"name it {PARTS_HINT}, or name {next(iter(parts.values()))} itself to have it split",
        )
    return parts.get("val") or parts["test"], False


def drawn_part(opened: ImageSplit, split: str) -> ImageSplit:
    """Return train or val of data without parts: `VAL_SHARE` of each class, by hash of the row ids.

    Images of one group stay together: then `VAL_SHARE` of all images, by hash of the groups' names.
    """
    is_val = _of_groups(opened) if opened.groups is not None else _of_classes(opened)
    return opened.subset(is_val if split == "val" else ~is_val)


def _of_classes(opened: ImageSplit) -> NDArray[np.bool_]:
    is_val = np.zeros(len(opened), dtype=bool)
    counts = opened.class_counts()
    wanted = np.minimum(np.maximum(np.rint(counts * VAL_SHARE), 1), counts - 1).astype(np.int64)
    is_val[first_of_each_class(opened, np.maximum(wanted, 0), purpose="flat folder", seed=0)] = True
    bare = np.flatnonzero(opened.labels < 0)
    if len(bare):
        lots = CounterStream.keyed(opened.keys[bare], purpose="flat folder", seed=0).bits(0)[:, 0]
        count = min(max(round(len(bare) * VAL_SHARE), 1), len(bare) - 1)
        is_val[bare[np.lexsort((opened.row_ids[bare], lots))[:count]]] = True
    return is_val


def _of_groups(opened: ImageSplit) -> NDArray[np.bool_]:
    assert opened.groups is not None
    names, group, sizes = np.unique(opened.groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DataError(
            f"{opened.name} has one group, which cannot be split", found=str(names[0]), hint="group= names no column"
        )
    lots = CounterStream.keyed(row_keys(names.tolist()), purpose="groups", seed=0).bits(0)[:, 0]
    order = np.lexsort((names, lots))
    before = np.cumsum(sizes[order]) - sizes[order]
    chosen = order[(before < VAL_SHARE * len(opened)) & (np.arange(len(names)) < len(names) - 1)]
    found: NDArray[np.bool_] = np.isin(group, chosen)
    return found
