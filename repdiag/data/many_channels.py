"""What comes with images of other than three channels: their statistics, and what views do without."""

from __future__ import annotations

from dataclasses import replace

from repdiag.data.augmentations import LEFT_OUT
from repdiag.data.channels import SAMPLE, channel_statistics
from repdiag.data.image_split import ImageSplit
from repdiag.data.reading_notes import ReadingNote


def with_statistics(opened: ImageSplit, trained: ImageSplit | None = None) -> ImageSplit:
    """Return the split with mean and deviation of its channels, or of the split to train on; RGB stays as it is.

    An encoder whose own normalisation is of as many channels uses that; any other is fed by these.
    """
    if opened.channels == 3:
        return opened
    chosen = (trained or opened).limited(SAMPLE)
    statistics = channel_statistics(chosen.image, range(len(chosen)))
    what = (
        f"the images have {opened.channels} channels, scaled to [0, 1] and normalised by the mean and deviation of "
        f"{statistics.images} of them where the encoder brings no own (--mean, --std); views leave out {LEFT_OUT}"
    )
    kept = tuple(note for note in opened.notes if LEFT_OUT not in note.what)
    return replace(opened, statistics=statistics, notes=(*kept, ReadingNote(what=what)))
