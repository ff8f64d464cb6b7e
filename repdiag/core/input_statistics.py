"""What images look like at an encoder's first batch norm, beside what that batch norm remembers of its training."""

from __future__ import annotations

from dataclasses import dataclass

from repdiag.core.shapes import Float, Tensor

GIVEN, HALVED = "as given", "as given, at half the contrast"


@dataclass(frozen=True, kw_only=True)
class InputReading:
    """The moments that images have at the batch norm's input under one normalisation, image by image.

    Shapes: means and squares [N, C]: mean and mean square over an image's pixels, by channel.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    means: Float[Tensor, "N C"]
    squares: Float[Tensor, "N C"]


@dataclass(frozen=True, kw_only=True)
class InputStatistics:
    """The first batch norm's running statistics [C], and the same images read with several normalisations.

    The first reading is the one that the encoder is used with (`GIVEN`); `HALVED` is the same at half the contrast,
    and tells whether the layer sees the contrast of the images at all.
    """

    layer: str
    running_mean: Float[Tensor, "C"]
    running_var: Float[Tensor, "C"]
    readings: tuple[InputReading, ...]

    def reading(self, name: str) -> InputReading:
        """Return the reading of one name."""
        return next(reading for reading in self.readings if reading.name == name)
