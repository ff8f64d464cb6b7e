"""What a reader of vectors may be told: which column is what, and how tokens, bytes and missing labels are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from repdiag.core.errors import UsageError

Tokens = Literal["class", "mean", "all"]
# What text files, frames and other programs write where there is no label.
UNLABELLED = ("", "-1", "-100", "nan", "NaN", "NA", "N/A", "n/a", "<NA>", "#N/A", "None", "null", "NULL")


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """How a source of vectors is to be read.

    `column` names the vectors: a column, array or folder, a pattern of columns ("dim_*") or several by commas.
    `label_column` and `group_column` name labels and groups. `tokens` says what to make of [N, T, D]. `quantised` says
    how bytes are meant: "plain" numbers, "bits" packed eight a byte, or "SCALE" or "SCALE,ZERO" of an affine code.
    `unlabelled` lists labels that stand for none, by commas; "none": every value is a class. `relabel` takes labels
    that come beside the vectors although those among the vectors contradict them.
    """

    column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    tokens: Tokens | None = None
    quantised: str | None = None
    unlabelled: str | None = None
    relabel: bool = False

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens not in get_args(Tokens):
            raise UsageError(f"unknown tokens {self.tokens!r}", hint="one of: class, mean, all")
        if self.quantised is not None:
            self.scale()

    def stand_for_none(self) -> tuple[str, ...]:
        """Return the labels that stand for none."""
        if self.unlabelled is None:
            return UNLABELLED
        return () if self.unlabelled == "none" else tuple(value.strip() for value in self.unlabelled.split(","))

    def scale(self) -> tuple[float, float] | None:
        """Return scale and zero point of an affine code; None for plain numbers and bits."""
        if self.quantised in (None, "plain", "bits"):
            return None
        assert self.quantised is not None
        try:
            scale, zero = [*map(float, self.quantised.split(",")), 0.0][:2]
        except ValueError:
            scale, zero = 0.0, 0.0
        if not scale > 0.0:
            hint = "plain, bits, or SCALE,ZERO such as 0.0078,128: number = (byte - ZERO) x SCALE"
            raise UsageError(
                "bytes are read as plain numbers, as bits or with a scale", found=self.quantised, hint=hint
            )
        return scale, zero
