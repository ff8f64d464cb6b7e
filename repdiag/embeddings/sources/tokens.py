"""Vectors of more axes: [rows, tokens, dimensions] become one vector per row, or one a token, its row the group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.embeddings.sources.vector_options import VectorOptions


@dataclass(frozen=True, kw_only=True)
class Flat:
    """Vectors [N, D], how many of them each row gave, and what is to be said of it."""

    values: Any
    tokens: int = 1
    notes: tuple[str, ...] = ()


def one_vector_each(values: Any, options: VectorOptions, *, name: str) -> Flat:
    """Return vectors of two axes; axes of one entry are dropped, and tokens are treated as the options say.

    Raises `DataError` for tokens of which nothing was said, and for maps of more axes.
    """
    shape = tuple(values.shape)
    notes: tuple[str, ...] = ()
    if len(shape) > 2 and shape[0] and 1 in shape[1:]:
        kept = [size for size in shape[1:] if size != 1] or [1]
        values = values.reshape(shape[0], *kept)
        notes = (f"{name} are {shape}: axes of one entry were dropped.",)
    if values.ndim < 3:
        return Flat(values=values, notes=notes)
    if values.ndim > 3:
        hint = "flatten them, or average over the places: features.mean(axis=(2, 3)) of [rows, dimensions, y, x]"
        raise DataError(f"{name} must have 2 axes, one vector a row", found=f"shape {shape}", hint=hint)
    rows, tokens, dims = values.shape
    if options.tokens is None:
        raise DataError(
            f"{name} must have 2 axes, one vector a row",
            found=f"shape {shape}: {tokens} tokens of {dims} dimensions a row?",
            hint="--tokens class (the first), --tokens mean, or --tokens all (each a row, its image the group); "
            "or flatten them",
        )
    if options.tokens == "class":
        return Flat(values=values[:, 0], notes=(*notes, f"of {tokens} tokens a row the first was taken."))
    if options.tokens == "mean":
        exact = values.double() if isinstance(values, Tensor) else np.asarray(values, dtype=np.float64)
        mean = exact.mean(1)
        return Flat(values=mean, notes=(*notes, f"the {tokens} tokens of a row were averaged."))
    said = f"each of the {tokens} tokens of {rows} rows is a vector; those of a row are a group."
    return Flat(values=values.reshape(rows * tokens, dims), tokens=tokens, notes=(*notes, said))
