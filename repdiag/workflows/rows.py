"""Which images an analysis looks at: equal galleries of train and val, and what kNN votes with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from repdiag.core.errors import DataError
from repdiag.workflows.row_plan import VIEWS

if TYPE_CHECKING:
    from repdiag.config.views import EvaluationSettings
    from repdiag.data.image_split import ImageSplit
    from repdiag.workflows.options import AnalysisOptions
    from repdiag.workflows.row_plan import RowPlan

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
    plan: RowPlan | None = None
    pilot: Mapping[str, ImageSplit] = field(default_factory=dict)
    """The part of a role's images that was read first, for the plan."""

    def parts(self) -> dict[str, ImageSplit]:
        """Return the parts there are, by their roles."""
        named = {"train": self.train, "val": self.val, "bank": self.bank, "queries": self.queries}
        return {name: split for name, split in named.items() if split is not None}

    def settings(self, role: str, *, preset: str, seed: int, lean: bool = False) -> EvaluationSettings:
        """Return which views are read of a role's images; `lean`: no more than every encoder is shown in."""
        from repdiag.config.views import EvaluationSettings

        number = VIEWS if self.plan is None or lean else self.plan.views
        if role == "queries" or (role == "bank" and (lean or self.plan is None or not self.plan.bank_views)):
            number = 0
        return EvaluationSettings(preset=preset, seed=seed, views=number)

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


PER_CLASS = 50
"""Images of each class where neither a number nor a plan says how many."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of the data as they were opened; no train where there is none."""

    val: ImageSplit
    train: ImageSplit | None
    said: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether images can be drawn by class."""
        return self.val.labelled and (self.train is None or self.train.labelled)


def open_parts(spec: str, options: AnalysisOptions) -> Parts:
    """Open train and val; without a part to train on val stands alone, which is said."""
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
        said = "the data have no train split: only val is analyzed, without comparisons of train and val"
        return Parts(val=val, train=None, said=(said,))
    if train.class_names != val.class_names:
        raise DataError(
            f"train and val of {spec} have different classes",
            found=f"{len(train.class_names)} and {len(val.class_names)}",
        )
    return Parts(val=val, train=train)


def choose_rows(spec: str, options: AnalysisOptions) -> AnalyzedImages:
    """Open the dataset and choose equal, class-balanced galleries from train and val, by seed alone.

    Without a part to train on val is taken alone; without labels rows are drawn by seed; train and val without a class
    in common are balanced each by itself.
    """
    per_class, bank_per_class = options.per_class or PER_CLASS, options.bank_per_class
    parts = open_parts(spec, options)
    limit = options.limit
    if parts.labelled and limit is not None:
        a_class = _rows_a_class(limit, len(parts.val.class_names))
        per_class, bank_per_class = min(per_class, a_class), min(bank_per_class, a_class)
    rows = (limit or UNLABELLED_ROWS) if not parts.labelled else per_class
    return chosen_images(parts, per_class=rows, bank_per_class=bank_per_class, seed=options.seed)


def chosen_images(parts: Parts, *, per_class: int, bank_per_class: int, seed: int) -> AnalyzedImages:
    """Return so many images of every class of both parts, and as many train images of each as kNN votes with.

    Without labels `per_class` is the number of images. More of them hold all that fewer hold.
    """
    val, train = parts.val, parts.train
    if train is None:
        gallery = val.balanced(per_class, seed=seed) if val.labelled else val.limited(per_class, seed=seed)
        return AnalyzedImages(val=gallery, said=parts.said)
    if not parts.labelled:
        rows = min(per_class, len(train), len(val))
        return AnalyzedImages(train=train.limited(rows, seed=seed), val=val.limited(rows, seed=seed))
    return _of_classes(train, val, per_class=per_class, bank_per_class=bank_per_class, seed=seed)


def _of_classes(
    train: ImageSplit, val: ImageSplit, *, per_class: int, bank_per_class: int, seed: int
) -> AnalyzedImages:
    from repdiag.data.image_split import equal_galleries

    said: tuple[str, ...] = ()
    if ((train.class_counts() > 0) & (val.class_counts() > 0)).any():
        train_gallery, val_gallery = equal_galleries(train, val, per_class=per_class, seed=seed)
    else:
        galleries = (split.balanced(per_class, seed=seed) for split in (train, val))
        train_gallery, val_gallery = _of_one_size(*galleries, seed=seed)
        said = ("train and val share no class: each is balanced separately, and kNN cannot find the classes of val",)
    return AnalyzedImages(
        train=train_gallery,
        val=val_gallery,
        bank=train.balanced(bank_per_class, seed=seed),
        queries=val.balanced(bank_per_class, seed=seed),
        said=said,
    )


def _of_one_size(train: ImageSplit, val: ImageSplit, *, seed: int) -> tuple[ImageSplit, ImageSplit]:
    rows = min(len(train), len(val))
    return train.limited(rows, seed=seed), val.limited(rows, seed=seed)


def _rows_a_class(limit: int, classes: int) -> int:
    """Return how many images of each class a limit on all of them leaves: two at least, which is said."""
    if limit < 2 * classes:
        _LOG.warning(
            "--limit %d is less than two images of each of the %d classes, which most metrics need: %d are used",
            *(limit, classes, 2 * classes),
        )
    return max(2, limit // classes)
