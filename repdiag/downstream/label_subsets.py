"""Which train images keep their labels: a share of every class by seed, or a published list by file name."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import numpy as np

from repdiag.core.errors import DataError, UsageError
from repdiag.data.image_split import ImageSplit, first_of_each_class

# SHA-256 over the sorted file names, joined by line feeds, of SimCLR's lists (simclr, imagenet_subsets/).
PUBLISHED = {
    "6581e723dbf23ae41ebd1d66d0b3c1c0eb8865d5abfa906987f6563513f4b9b8": "SimCLR's 1 % list of ImageNet",
    "220f3e2f6dba9d26ec247224cbbf4f3581cbf7fe341e08b191ee0855ad19af56": "SimCLR's 10 % list of ImageNet",
}


def share_of_labels(split: ImageSplit, share: float, *, seed: int) -> ImageSplit:
    """Return a share of every class, one image at least: max(1, floor(n x share)), drawn by seed and row names.

    A smaller share of the same seed is part of a larger one.
    """
    if share >= 1.0:
        return split
    wanted = np.maximum(np.floor(split.class_counts() * share + 1e-9), 1).astype(np.int64)
    return split.subset(np.sort(first_of_each_class(split, wanted, purpose="labels kept", seed=seed)))


def listed_labels(split: ImageSplit, path: Path) -> tuple[ImageSplit, str]:
    """Return the images that a list names, matched by file name and never by position, and which list it is.

    A line is a file name, or `index,label,wnid,file` as SSLight writes the same lists. Raises `DataError` where images
    of the list are missing.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read the list {path}", found=error.strerror) from error
    names = [PurePosixPath(line.rpartition(",")[2].strip()).name for line in lines if line.strip()]
    wanted = set(names)
    if len(wanted) < len(names):
        raise DataError(f"{path} names images twice", found=f"{len(names) - len(wanted)} of {len(names)}")
    have = np.array([PurePosixPath(str(row)).name for row in split.row_ids])
    chosen = np.isin(have, list(wanted))
    found = set(have[chosen].tolist())
    if len(found) < len(wanted):
        missing = sorted(wanted - found)
        raise DataError(
            f"{len(missing)} of the {len(wanted)} images of {path.name} are not among the train images",
            found=", ".join(missing[:3]),
        )
    if int(chosen.sum()) > len(found):
        raise DataError(f"file names of {path.name} stand for several images", found=f"{int(chosen.sum())} images")
    digest = hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()
    which = PUBLISHED.get(digest, f"no published list, sha256 {digest[:12]}")
    return split.subset(chosen), f"{path.name} ({which})"
