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


@dataclass(frozen=True, kw_only=True)
class AnalyzedImages:
    """The images of one analysis: equal galleries of train and val with views, and kNN bank and queries without."""

    train: ImageSplit
    val: ImageSplit
    bank: ImageSplit
    queries: ImageSplit

    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprint of each part: another one means other images or rows."""
        return {name: getattr(self, name).fingerprint for name in ("train", "val", "bank", "queries")}

    def excluded(self) -> list[dict[str, str]]:
        """Return every image that was left out, once, with the reason."""
        found = {str(item.path): item.reason for split in (self.bank, self.queries) for item in split.excluded}
        return [{"path": path, "reason": reason} for path, reason in sorted(found.items())]


def choose_rows(spec: str, options: AnalysisOptions) -> AnalyzedImages:
    """Open the dataset and choose equal, class-balanced galleries from train and val, by seed alone."""
    from repdiag.data.datasets import open_dataset
    from repdiag.data.image_split import equal_galleries

    train, val = (
        open_dataset(spec, split, download=options.download, strict=options.strict_data) for split in ("train", "val")
    )
    if train.class_names != val.class_names:
        raise DataError(
            f"train and val of {spec} have different classes",
            found=f"{len(train.class_names)} and {len(val.class_names)}",
        )
    per_class, bank_per_class = options.per_class, options.bank_per_class
    if options.limit is not None:
        limit = _rows_a_class(options.limit, len(train.class_names))
        per_class, bank_per_class = min(per_class, limit), min(bank_per_class, limit)
    train_gallery, val_gallery = equal_galleries(train, val, per_class=per_class, seed=options.seed)
    return AnalyzedImages(
        train=train_gallery,
        val=val_gallery,
        bank=train.balanced(bank_per_class, seed=options.seed),
        queries=val.balanced(bank_per_class, seed=options.seed),
    )


def _rows_a_class(limit: int, classes: int) -> int:
    """Return how many images of each class a limit on all of them leaves: two at least, which is said."""
    if limit < 2 * classes:
        _LOG.warning(
            "--limit %d is less than two images of each of the %d classes, which most metrics need: %d are used",
            *(limit, classes, 2 * classes),
        )
    return max(2, limit // classes)
