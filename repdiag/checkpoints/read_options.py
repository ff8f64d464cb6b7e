"""What somebody says about a checkpoint file: on the command line, in code, or in a manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a file is to be read; None leaves it to what is recognised.

    `family` is an expectation: a file that is recognised as another's is refused. `image_size`, `mean` and `std` take
    the place of what the family's own evaluation does to images in [0, 1].
    """

    branch: str | None = None
    backbone: str | None = None
    prefix: str | None = None
    heads: int | None = None
    stem_padding: int | None = None
    family: str | None = None
    image_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def over(self, other: ReadOptions) -> ReadOptions:
        """Return these options, and the other's where these say nothing."""
        return replace(other, **self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return what is asked for, without what is left open."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def input_changes(self) -> dict[str, Any]:
        """Return the part that concerns the input: image size and normalisation."""
        return {name: value for name, value in self.to_dict().items() if name in ("image_size", "mean", "std")}
