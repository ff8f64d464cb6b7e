"""What columns and arrays are usually called, and which belong together: dim_0, dim_1, ... are one set of vectors."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# "arr_0" is what np.savez calls an array without a name.
FEATURE_NAMES = ("features", "embeddings", "embedding", "vectors", "vector", "x", "arr_0")
LABEL_NAMES = (
    "labels",
    "label",
    "targets",
    "target",
    "y",
    "class",
    "classes",
    "class_name",
    "category",
    "y_true",
    "label_ids",
    "label_id",
    "class_id",
    "class_label",
    "category_id",
    "ground_truth",
    "gt",
    "cls",
)
ROW_NAMES = (
    "row_ids",
    "row_id",
    "ids",
    "id",
    "image_id",
    "image_ids",
    "img_id",
    "sample_id",
    "sample_ids",
    "item_id",
    "doc_id",
    "uid",
    "uuid",
    "guid",
    "key",
    "keys",
    "__key__",
    "path",
    "paths",
    "filepath",
    "file_path",
    "image_path",
    "image_paths",
    "img_path",
    "filename",
    "filenames",
    "file_name",
    "file_names",
    "fname",
    "fnames",
    "img_name",
    "custom_id",
    "file",
    "files",
    "image_name",
    "url",
    "barcode",
    "barcodes",
    *(INDEX_NAMES := ("index", "unnamed: 0", "__index_level_0__", "")),
)
GROUP_NAMES = ("groups", "group", "group_id", "scene", "scene_id", "video", "video_id", "patient", "patient_id")
VIEW_NAMES = ("views",)
SPLITS = re.compile(r"(^|[^a-z])(training|train|testing|test|validation|valid|val|query|gallery)($|[^a-z])")
_SPLIT_AT_EDGE = re.compile(
    r"^(training|train|testing|test|validation|valid|val|query|gallery)(?=feat|label|emb|target)"
)
# Columns that describe a row and are no dimension of it.
DESCRIBES_A_ROW = frozenset(
    (
        *("time", "timestamp", "date", "epoch", "step", "iteration", "year", "age"),
        *("loss", "score", "price", "cost", "weight", "confidence", "prob", "probability", "rating", "rank"),
        *("lat", "lon", "latitude", "longitude", "length", "size", "width", "height", "count", "quality", "accuracy"),
    )
)
_FEWEST = 2  # columns that make a family
_MUCH_LARGER = 4  # times all other families together: then it is the one that is meant


@dataclass(frozen=True)
class Family:
    """Columns whose names differ in one number only, in the order of their numbers."""

    pattern: str
    names: tuple[str, ...]
    gaps: int

    @property
    def said(self) -> str:
        """The family in words: "dim_0 to dim_31"."""
        return f"{self.names[0]} to {self.names[-1]}"


def split_of(name: str) -> str | None:
    """Return the split that a name carries: train of X_train, test of testfeat; None without one."""
    found = SPLITS.search(name.lower()) or _SPLIT_AT_EDGE.search(name.lower())
    if found is None:
        return None
    word = found.group(2) if found.re is SPLITS else found.group(1)
    return {"training": "train", "testing": "test", "valid": "val", "validation": "val"}.get(word, word)


def without_split(name: str) -> str:
    """Return a name without its split: y of y_train, feat of testfeat."""
    lower = name.lower()
    found = SPLITS.search(lower)
    if found is not None:
        return (lower[: found.start(2)] + lower[found.end(2) :]).strip("_-. ")
    return _SPLIT_AT_EDGE.sub("", lower)


def is_label_name(name: str) -> bool:
    """Say whether labels are usually called so, split words left aside."""
    return without_split(name) in LABEL_NAMES


def families(names: Iterable[str]) -> list[Family]:
    """Return the families among the names, the largest first; columns that belong to none are in no family."""
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in names:
        parts = re.fullmatch(r"(.*?)(\d+)(\D*)", name, flags=re.DOTALL)
        if parts is not None:
            found.setdefault((parts.group(1), parts.group(3)), []).append((int(parts.group(2)), name))
    result = []
    for (before, after), members in found.items():
        members.sort()
        numbers = [number for number, _ in members]
        gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
        if len(members) >= _FEWEST and 0 <= gaps < len(members):
            result.append(Family(f"{before}*{after}", tuple(name for _, name in members), gaps))
    return sorted(result, key=lambda family: -len(family.names))


def only_family(found: Sequence[Family]) -> Family | None:
    """Return the family that is meant: the only one, or one much larger than all others; None where that is open."""
    if not found:
        return None
    rest = sum(len(family.names) for family in found[1:])
    return found[0] if len(found[0].names) >= _MUCH_LARGER * rest else None


def matching(wanted: str, names: Sequence[str]) -> list[str]:
    """Return the names that a word means: the name itself in any case, else a pattern, else several by commas.

    Those of a pattern come in the order of their numbers.
    """
    for name in names:
        if name == wanted:
            return [name]
    same = [name for name in names if name.lower() == wanted.lower()]
    if same:
        return same[:1]
    if any(sign in wanted for sign in "*?["):
        return sorted((name for name in names if fnmatch.fnmatchcase(name, wanted)), key=by_numbers)
    several = [part.strip() for part in wanted.split(",")]
    return several if len(several) > 1 and all(part in names for part in several) else []


def by_numbers(name: str) -> list[tuple[int, str]]:
    """Return the key by which part-2 comes before part-10."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def shown(names: Sequence[str], *, most: int = 8) -> str:
    """Return names for a sentence: the first few, and how many more."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
