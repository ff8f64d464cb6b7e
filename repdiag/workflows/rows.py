"""Which images an analysis looks at: equal galleries of train and val, and what kNN votes with."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repdiag.core.errors import DataError

if TYPE_CHECKING:
    from repdiag.data.image_split import ImageSplit
    from repdiag.workflows.options import AnalysisOptions

_LOG = logging.getLogger(__name__)


UNLABELLED_ROWS = 500
"""Images of each part that are analyzed where there are no classes to draw them from evenly."""


@dataclass(frozen=True, kw_only=True)
class AnalyzedImages:
    """The images of one analysis: equal galleries of train and val with views, and kNN bank and queries without.

    There is no train where the data have only a part to validate on, and no bank and queries without it or without
    labels.
    """

    val: ImageSplit
    train: ImageSplit | None = None
    bank: ImageSplit | None = None
    queries: ImageSplit | None = None
    said: tuple[str, ...] = ()
    """What was decided about the rows."""

    def parts(self) -> dict[str, ImageSplit]:
        """Return the parts there are, by their roles."""
        named = {"train": self.train, "val": self.val, "bank": self.bank, "queries": self.queries}
        return {name: split for name, split in named.items() if split is not None}

    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprint of each part: another one means other images or rows."""
        return {name: split.fingerprint for name, split in self.parts().items()}

    def excluded(self) -> list[dict[str, str]]:
        """Return every image that was left out, once, with the reason."""
        found = {str(item.path): item.reason for split in self.parts().values() for item in split.excluded}
        return [{"path": path, "reason": reason} for path, reason in sorted(found.items())]

    def notes(self) -> tuple[str, ...]:
        """Return what was scaled, turned, converted, assumed or left out while the images were read."""
        train = () if self.train is None else self.train.notes
        both = [note for note in self.val.notes if note in train]
        lines = {"images": both, "images, train": [one for one in train if one not in both]}
        lines["images, val"] = [one for one in self.val.notes if one not in both]
        return (*(f"{where}: {'; '.join(map(str, notes))}" for where, notes in lines.items() if notes), *self.said)


def choose_rows(spec: str, options: AnalysisOptions) -> AnalyzedImages:
    """Open the dataset and choose equal, class-balanced galleries from train and val, by seed alone.

    Without a part to train on val is taken alone; without labels rows are drawn by seed; train and val without a class
    in common are balanced each by itself.
    """
    from repdiag.data.datasets import open_dataset
    from repdiag.data.splits import NoTrainPartError

    def opened(split: str) -> ImageSplit:
        return open_dataset(
            spec,
            split,
            download=options.download,
            strict=options.strict_data,
            check_content=options.check_content,
        )

    val = opened("val")
    try:
        train = opened("train")
    except NoTrainPartError:
        said = "the data have no part to train on: val is analyzed alone, and what compares it with train is left out"
        return AnalyzedImages(val=_evenly(val, options), said=(said,))
    if train.class_names != val.class_names:
        raise DataError(
            f"train and val of {spec} have different classes",
            found=f"{len(train.class_names)} and {len(val.class_names)}",
        )
    if not (train.labelled and val.labelled):
        rows = min(options.limit or UNLABELLED_ROWS, len(train), len(val))
        return AnalyzedImages(train=train.limited(rows, seed=options.seed), val=val.limited(rows, seed=options.seed))
    return _of_classes(train, val, options)


def _of_classes(train: ImageSplit, val: ImageSplit, options: AnalysisOptions) -> AnalyzedImages:
    from repdiag.data.image_split import equal_galleries

    per_class, bank_per_class = options.per_class, options.bank_per_class
    if options.limit is not None:
        limit = _rows_a_class(options.limit, len(train.class_names))
        per_class, bank_per_class = min(per_class, limit), min(bank_per_class, limit)
    said: tuple[str, ...] = ()
    if ((train.class_counts() > 0) & (val.class_counts() > 0)).any():
        train_gallery, val_gallery = equal_galleries(train, val, per_class=per_class, seed=options.seed)
    else:
        galleries = (split.balanced(per_class, seed=options.seed) for split in (train, val))
        train_gallery, val_gallery = _of_one_size(*galleries, seed=options.seed)
        said = ("train and val have no class in common: each is balanced by itself, and kNN finds no class again",)
    return AnalyzedImages(
        train=train_gallery,
        val=val_gallery,
        bank=train.balanced(bank_per_class, seed=options.seed),
        queries=val.balanced(bank_per_class, seed=options.seed),
        said=said,
    )


def _of_one_size(train: ImageSplit, val: ImageSplit, *, seed: int) -> tuple[ImageSplit, ImageSplit]:
    rows = min(len(train), len(val))
    return train.limited(rows, seed=seed), val.limited(rows, seed=seed)


def _evenly(split: ImageSplit, options: AnalysisOptions) -> ImageSplit:
    """Return the gallery of a part that stands alone."""
    if not split.labelled:
        return split.limited(options.limit or UNLABELLED_ROWS, seed=options.seed)
    per_class = options.per_class
    if options.limit is not None:
        per_class = min(per_class, _rows_a_class(options.limit, len(split.class_names)))
    return split.balanced(per_class, seed=options.seed)


def _rows_a_class(limit: int, classes: int) -> int:
    """Return how many images of each class a limit on all of them leaves: two at least, which is said."""
    if limit < 2 * classes:
        _LOG.warning(
            "--limit %d is less than two images of each of the %d classes, which most metrics need: %d are used",
            *(limit, classes, 2 * classes),
        )
    return max(2, limit // classes)
