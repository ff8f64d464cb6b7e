"""Which of two kinds of input a command was given: a checkpoint, or vectors with what belongs to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    from repdiag.embeddings.sources.vector_options import VectorOptions


def vectors_meant(
    checkpoint: str | None, embeddings: Path | None, reading: VectorOptions, **given: object
) -> Path | None:
    """Return the file of vectors that is meant; None for a checkpoint.

    Raises `UsageError` for both at once, and for an option of vectors beside a checkpoint.
    """
    from repdiag.workflows.vectors import is_vectors

    if embeddings is not None and checkpoint is not None:
        raise UsageError("give a checkpoint or --embeddings, not both")
    if embeddings is not None or (checkpoint is not None and is_vectors(checkpoint)):
        return embeddings or Path(str(checkpoint))
    for name, value in {**given, **vars(reading)}.items():
        if value is not None and value is not False:  # a flag that was not given
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} belongs to vectors", hint="the folders of images are their classes")
    return None


def groups_meant(groups: str | None, classes: str) -> str | None:
    """Return which rows were drawn together: a file's word, or the classes where they were drawn themselves."""
    if classes == "drawn" and groups not in {None, "classes"}:
        raise UsageError("--classes drawn and --groups FILE exclude each other", hint="give one of them")
    return "classes" if classes == "drawn" else groups
