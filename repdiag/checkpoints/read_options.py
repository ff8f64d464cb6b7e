"""What somebody says about a checkpoint file: on the command line, in code, or in a manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, TypedDict

from repdiag.core.errors import UsageError

POOLS = ("token", "mean", "max", "mean+max", "mean,max", "max,mean", "gem", "map")
ACTIVATIONS = ("gelu", "gelu_tanh", "quick_gelu", "relu", "silu")
_CHOICES = {
    "pool": POOLS,
    "activation": ACTIVATIONS,
    "stride_in": ("1x1", "3x3"),
    "resample": ("dino", "scaled", "bicubic", "antialiased", "corners"),
    "interpolation": ("bilinear", "bicubic"),
    "channel_order": ("rgb", "bgr"),
}
_INPUT = ("image_size", "mean", "std", "interpolation")


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a file; None leaves the choice to what the file records and repdiag recognises.

    `family` is the expected format: a file of another format is refused. `stem` is the stride of the first convolution
    and whether a max-pool follows. `output_stride` is the ratio of image size to the size of a ResNet's last map;
    `dilated` replaces the removed strides with dilation; `stride_in` names the convolution of a bottleneck that has the
    stride. `grid` is the rows and columns of patches of the position embeddings, `resample` the way to resize them.
    `resize` is "crop", "squash" (both sides, whatever their ratio) or the length of the shorter side before the crop.
    Together with `image_size`, `interpolation`, `mean` and `std` it replaces the evaluation preprocessing of the
    format, for images in [0, 1]. `channel_order` "bgr" feeds blue first, with `mean` and `std` in that order.
    `output` names the output tensor of an exported graph to use as embedding.
    """

    branch: str | None = None
    backbone: str | None = None
    prefix: str | None = None
    family: str | None = None
    heads: int | None = None
    pool: str | None = None
    activation: str | None = None
    norm_eps: float | None = None
    grid: tuple[int, int] | None = None
    resample: str | None = None
    stem_padding: int | None = None
    stem: tuple[int, bool] | None = None
    output_stride: int | None = None
    dilated: bool | None = None
    stride_in: str | None = None
    image_size: int | None = None
    resize: str | int | None = None
    interpolation: str | None = None
    channel_order: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise UsageError(f"unknown {name} {str(value)[:40]!r}", hint=f"one of: {', '.join(choices)}")
        if self.stem is not None and not (isinstance(self.stem, tuple | list) and len(self.stem) == 2):
            raise UsageError(
                f"stem is the stride and whether a max-pool follows, not {str(self.stem)[:40]!r}", hint="(1, False)"
            )
        if isinstance(self.resize, str) and self.resize not in ("crop", "squash"):
            raise UsageError(f"unknown resize {self.resize[:40]!r}", hint="crop, squash, or the shorter side in pixels")

    def over(self, other: ReadOptions) -> ReadOptions:
        """Return these options, completed with those of the other."""
        return replace(other, **self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the options that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def input_changes(self) -> dict[str, Any]:
        """Return the part that concerns the input: size, framing and normalisation, as `EncoderInfo` has them."""
        found = {name: value for name, value in self.to_dict().items() if name in _INPUT}
        if self.channel_order is not None:
            found["bgr"] = self.channel_order == "bgr"
        if self.image_size is not None or self.resize is not None:
            found["resize"] = None  # the resize that goes before the crop belongs to the family's own size
        if self.resize is not None:
            found["squash"] = self.resize == "squash"
            found["resize"] = self.resize if isinstance(self.resize, int) else None
        return found


def flag_of(name: str) -> str:
    """Return the flag of the command line for an option."""
    return "--" + name.replace("_", "-")


class ReadKeywords(TypedDict, total=False):
    """The fields of `ReadOptions` but `branch` as keywords of a function."""

    backbone: str | None
    prefix: str | None
    family: str | None
    heads: int | None
    pool: str | None
    activation: str | None
    norm_eps: float | None
    grid: tuple[int, int] | None
    resample: str | None
    stem_padding: int | None
    stem: tuple[int, bool] | None
    output_stride: int | None
    dilated: bool | None
    stride_in: str | None
    image_size: int | None
    resize: str | int | None
    interpolation: str | None
    channel_order: str | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    output: str | None
