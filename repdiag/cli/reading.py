"""The options that say how a checkpoint file is to be read, as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    from repdiag.checkpoints.read_options import ReadOptions
    from repdiag.embeddings.sources.vector_options import VectorOptions


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


def _channels(option: str, text: str, *, least: float) -> tuple[float, ...]:
    """Return the numbers of "R,G,B", of one number for all three, or of one a channel where there are more."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) < 3 or not all(least <= value <= 1.0 for value in values):
        hint = f"{option} 0.5,0.5,0.5, or one number a channel"
        raise UsageError(f"{option} needs three numbers of images in [0, 1]", found=text, hint=hint)
    return tuple(values)


def vector_options_of(
    column: str | None,
    label_column: str | None,
    group_column: str | None,
    tokens: str | None,
    quantised: str | None,
    unlabelled: str | None,
) -> VectorOptions:
    """Return what the command line says about reading vectors."""
    from repdiag.embeddings.sources.vector_options import VectorOptions

    return VectorOptions(
        column=column,
        label_column=label_column,
        group_column=group_column,
        tokens=tokens,  # type: ignore[arg-type]  # another word is refused there
        quantised=quantised,
        unlabelled=unlabelled,
    )


def metric_names(text: str | None) -> list[str] | None:
    """Return the names of --metrics; None without them."""
    names = None if text is None else [name.strip() for name in text.split(",") if name.strip()]
    if names == []:
        raise UsageError("--metrics names no metric", hint="leave it out for all that apply; repdiag metrics list")
    return names
