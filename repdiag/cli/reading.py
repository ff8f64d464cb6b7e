"""The options that say how a checkpoint file is to be read, as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    from repdiag.checkpoints.read_options import ReadOptions


def read_options_of(
    *,
    branch: str | None,
    backbone: str | None,
    prefix: str | None,
    heads: int | None,
    stem_padding: int | None,
    image_size: int | None,
    mean: str | None,
    std: str | None,
) -> ReadOptions:
    """Return what the command line says about reading a file."""
    from repdiag.checkpoints.read_options import ReadOptions

    return ReadOptions(
        branch=branch,
        backbone=backbone,
        prefix=prefix,
        heads=heads,
        stem_padding=stem_padding,
        image_size=image_size,
        mean=None if mean is None else _channels("--mean", mean, least=0.0),
        std=None if std is None else _channels("--std", std, least=1e-6),
    )


def _channels(option: str, text: str, *, least: float) -> tuple[float, float, float]:
    """Return the three numbers of "R,G,B", or of one number for all three."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3 or not all(least <= value <= 1.0 for value in values):
        raise UsageError(f"{option} needs three numbers of images in [0, 1]", found=text, hint=f"{option} 0.5,0.5,0.5")
    return (values[0], values[1], values[2])
